import { parseArgs } from 'node:util';
import { ROWS } from './rows.js';

/** What the command line sets. */
export interface Options {
  /** Folder with ptb/ and ptb-lstm/; without it a model is trained on the Brown corpus. */
  readonly data: string | undefined;
  readonly out: string;
  readonly rows: readonly string[];
  readonly ratios: readonly number[];
  readonly blocks: number;
  readonly retrainWords: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly threads: number;
  /** Without it the fastest that is installed. */
  readonly backend: string | undefined;
}

const USAGE = `npm run group-reduce -- [options]
  --data DIR           folder with ptb/ and ptb-lstm/; without it an LSTM is trained on the Brown corpus
  --out DIR            folder of results, models and page (runs/group-reduce)
  --rows A,B           rows of the ablation (all): ${ROWS.map(({ name }) => name).join(', ')}
  --ratios A,B         bytes of the two matrices, before over after, in float32 (4,8)
  --blocks N           blocks of the vocabulary (10)
  --retrain-words N    words of training text to retrain on, once (the whole text); 0: none
  --learning-rate X    of Adam in retraining, falling by half a cosine (0.001)
  --seed N             draws which stretch of the text that is (1)
  --backend NAME       wasm, tfjs-node-gpu, … (the fastest that is installed)
  --threads N          threads of the backend (1)`;

/**
 * Reads the command line.
 *
 * @throws Error that says what is wrong and shows the options.
 */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    data: values.data,
    out: values.out,
    rows: rowsOf(values.rows),
    ratios: values.ratios.split(',').map((text) => number('ratios', text, 1)),
    blocks: number('blocks', values.blocks, 1),
    retrainWords: number('retrain-words', values['retrain-words'], 0),
    learningRate: number('learning-rate', values['learning-rate'], 0),
    seed: number('seed', values.seed, 0),
    threads: number('threads', values.threads, 1),
    backend: values.backend,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        out: { type: 'string', default: 'runs/group-reduce' },
        rows: { type: 'string', default: '' },
        ratios: { type: 'string', default: '4,8' },
        blocks: { type: 'string', default: '10' },
        'retrain-words': { type: 'string', default: 'Infinity' },
        'learning-rate': { type: 'string', default: '0.001' },
        seed: { type: 'string', default: '1' },
        threads: { type: 'string', default: '1' },
        backend: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`, { cause: error });
  }
}

function rowsOf(text: string): readonly string[] {
  const known = ROWS.map(({ name }) => name);
  if (text === '') return known;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return known.filter((name) => names.includes(name));
  throw new Error(`--rows knows no '${unknown}'\n${USAGE}`);
}

function number(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least) return value;
  throw new Error(`--${name} must be a number from ${least}, not '${text}'\n${USAGE}`);
}
