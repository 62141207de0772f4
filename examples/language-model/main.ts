import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { useBackend } from '@espalier/backend';
import { loadBrown, VOCABULARY } from './brown.js';
import { loadPennTreebank } from './penn-treebank.js';
import { perplexity } from './perplexity.js';
import { modelFromPytorch } from './pytorch-weights.js';
import { TRAINING, trainLanguageModel } from './train.js';

const USAGE = `node examples/dist/language-model/main.js [options]
  --data DIR        folder with ptb/ and ptb-lstm/: measures the model there and trains none
  --vocabulary N    words that the model knows (${VOCABULARY})
  --words N         words to train on (${TRAINING.words})
  --units N         width of embedding and LSTMs (${TRAINING.units})
  --epochs N        times that it reads them (${TRAINING.epochs})
  --streams N       places of the text that are read side by side (${TRAINING.streams})
  --steps N         words of each stream in a step (${TRAINING.steps})
  --learning-rate X of Adam, falling by half a cosine (${TRAINING.learningRate})
  --seed N          seed of the initial weights (1)
  --threads N       threads of the wasm backend (1)`;

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());

try {
  const options = parse(process.argv.slice(2));
  const backend = await useBackend({ prefer: 'wasm', threads: count(options, 'threads') });
  console.log(backend.line);
  if (options.data === undefined) await trainOnBrown(options, backend);
  else await measurePytorch(options.data);
} catch (error) {
  console.error(interrupt.signal.aborted ? '\nStopped.' : (error as Error).message);
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
}

type Options = ReturnType<typeof parse>;

async function trainOnBrown(options: Options, backend: Awaited<ReturnType<typeof useBackend>>) {
  const corpus = loadBrown(count(options, 'vocabulary'));
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  const session = await trainLanguageModel(corpus, {
    units: count(options, 'units'),
    words: count(options, 'words'),
    epochs: count(options, 'epochs'),
    streams: count(options, 'streams'),
    steps: count(options, 'steps'),
    learningRate: positive(options, 'learning-rate'),
    seed: count(options, 'seed'),
    backend,
    signal: interrupt.signal,
    onStep: (step, nats, steps) =>
      console.log(`step ${step} of ${steps}: ${nats.toFixed(3)} nats, ${seconds()} s`),
    onEpoch: (epoch, value) =>
      console.log(`epoch ${epoch}: validation perplexity ${value.toFixed(1)}, ${seconds()} s`),
  });
  console.log(`test perplexity ${(await perplexity(session.model, corpus.test)).toFixed(1)}`);
  await session.dispose();
}

async function measurePytorch(folder: string): Promise<void> {
  const { validation, test } = loadPennTreebank(folder);
  const model = modelFromPytorch(readFileSync(join(folder, 'ptb-lstm', 'model.safetensors')));
  for (const [name, text] of Object.entries({ validation, test })) {
    console.log(`${name} perplexity ${(await perplexity(model, text)).toFixed(2)}`);
  }
  model.dispose();
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        vocabulary: { type: 'string', default: String(VOCABULARY) },
        words: { type: 'string', default: String(TRAINING.words) },
        units: { type: 'string', default: String(TRAINING.units) },
        epochs: { type: 'string', default: String(TRAINING.epochs) },
        streams: { type: 'string', default: String(TRAINING.streams) },
        steps: { type: 'string', default: String(TRAINING.steps) },
        'learning-rate': { type: 'string', default: String(TRAINING.learningRate) },
        seed: { type: 'string', default: '1' },
        threads: { type: 'string', default: '1' },
      },
    });
    return values;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`, { cause: error });
  }
}

function count(options: Options, name: Exclude<keyof Options, 'data'>): number {
  const value = Number(options[name]);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${name} must be a whole number from 1, not '${options[name]}'\n${USAGE}`);
}

function positive(options: Options, name: 'learning-rate'): number {
  const value = Number(options[name]);
  if (value > 0) return value;
  throw new Error(`--${name} must be a number above 0, not '${options[name]}'\n${USAGE}`);
}
