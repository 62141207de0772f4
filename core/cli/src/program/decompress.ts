import type { Command } from 'commander';
import type { DecompressCommandOptions } from '../commands/decompress.js';
import { parseNames } from '../compress/parse-flags.js';

/** Adds `espalier decompress`. */
export function addDecompressCommand(program: Command): void {
  program
    .command('decompress')
    .description(
      'Write the matrices of an artifact as dense float32, in a format that others read.',
    )
    .argument('<input>', 'an artifact, or any other input of compress')
    .requiredOption(
      '--out <path>',
      'x.npy or x.vec for one matrix, x.safetensors for several, or a folder for plain TensorFlow.js',
    )
    .option('--words <file>', 'for x.vec: one word in each line (default: those of the input)')
    .option('--layers <names>', 'only these layers, e.g. a,b (default: all)', parseNames)
    .option('--quiet', 'do not print progress')
    .option('--verbose', 'also print how the backend was chosen, and the stack of an error')
    .action(async (input: string, options: DecompressCommandOptions) => {
      const { decompress } = await import('../commands/decompress.js');
      await decompress(input, options);
    });
}
