import { resolve } from 'node:path';
import { useBackend } from '@espalier/backend';
import { decompressFile } from '@espalier/compress/node';
import type { DecompressedFile } from '@espalier/compress/node';
import { Modules } from '@espalier/config';
import { explainError } from '../compress/explain-error.js';
import { showProgress } from '../compress/progress.js';
import { describeBackend } from '../observe.js';
import { print } from '../print.js';

/** Options of `espalier decompress`. */
export interface DecompressCommandOptions {
  readonly out: string;
  readonly words?: string;
  readonly layers?: readonly string[];
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Writes the matrices of an artifact as dense float32; prints what was written. */
export async function decompress(path: string, options: DecompressCommandOptions): Promise<void> {
  const { out, words, layers, quiet = false, verbose } = options;
  const { say, onEvent } = showProgress(quiet);
  const backend = await useBackend();
  try {
    say(describeBackend(backend, verbose));
    const { load } = new Modules(resolve('espalier'));
    const result = await decompressFile(path, { out, words, layers, load, onEvent });
    print(describeResult(result).join('\n'));
  } catch (error) {
    throw explainError(error);
  } finally {
    backend.dispose();
  }
}

function describeResult({ out, format, matrices, leftOut }: DecompressedFile): readonly string[] {
  const written =
    format === 'tfjs'
      ? [
          `${out}: the model with decoded matrices as model.json and its weights, for tf.loadLayersModel`,
        ]
      : matrices.map(({ name, shape }) => `${out}: ${name} [${shape.join(', ')}], float32`);
  return [...written, ...(leftOut.length > 0 ? [`left out: ${leftOut.join(', ')}`] : [])];
}
