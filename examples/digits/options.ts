import { parseArgs } from 'node:util';

/** What the command line sets. */
export interface Options {
  /** Folder of the page and the telemetry. */
  readonly out: string;
  readonly epochs: number;
  /** Of the first run; further ones count on. */
  readonly seed: number;
  /** How often each recipe is trained, each time with another seed. */
  readonly seeds: number;
  readonly trainPerClass: number;
}

const USAGE = `npm start -- [options]
  --out DIR             folder of the page and the telemetry (runs/digits)
  --epochs N            epochs of each run (4)
  --seed N              seed of weights, order and everything random (1)
  --seeds N             train each recipe with N seeds, from --seed on (1)
  --train-per-class N   training images of each digit (100)`;

/**
 * Reads the command line.
 *
 * @throws Error that says what is wrong and shows the options.
 */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    out: values.out,
    epochs: count('epochs', values.epochs, 1),
    seed: count('seed', values.seed, 0),
    seeds: count('seeds', values.seeds, 1),
    trainPerClass: count('train-per-class', values['train-per-class'], 1),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        out: { type: 'string', default: 'runs/digits' },
        epochs: { type: 'string', default: '4' },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string', default: '1' },
        'train-per-class': { type: 'string', default: '100' },
      },
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`, { cause: error });
  }
}

function count(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name} must be a whole number from ${least}, not '${text}'\n${USAGE}`);
}
