import { Option } from 'commander';
import type { Command } from 'commander';
import type { CompressCommandOptions } from '../commands/compress.js';
import {
  parseBits,
  parseBlocks,
  parseNames,
  parseObjective,
  parseRatio,
  parseShare,
} from '../compress/parse-flags.js';

/** Adds `espalier compress`. */
export function addCompressCommand(program: Command): void {
  program
    .command('compress')
    .description('Make the matrices of a model smaller without training it.')
    .argument(
      '<input>',
      'matrices (.npy, .npz, safetensors, PyTorch, GloVe, word2vec, .vec, model2vec), the folder of a model.json, or an artifact',
    )
    .requiredOption('--out <dir>', 'folder of the result: new, empty, or with an earlier result')
    .option(
      '--preset <name>',
      'block-codes, group-reduce, svd, weighted-svd, quantize-only, prune, or module#export',
      'block-codes',
    )
    .addOption(
      target('--ratio <n>', 'how many times smaller the matrices become (default: 8)').argParser(
        parseRatio,
      ),
    )
    .addOption(target('--budget <size>', 'size of all compressed matrices together, e.g. 10MB'))
    .addOption(
      target('--max-error <n>', 'largest relative error of each matrix').argParser(parseShare),
    )
    .option(
      '--objective <measure>',
      'what errors are measured by: counts, uniform, neighbours, or shares, e.g. counts=0.7,uniform=0.3',
      parseObjective,
    )
    .option(
      '--bits <n>',
      'bits of a number: 8, 4, 3, 2 or none (default: of the preset)',
      parseBits,
    )
    .option('--counts <file>', 'word counts: JSON, TSV, or lines with a word and its count')
    .option('--blocks <n>', 'number of blocks of words of similar frequency, or auto', parseBlocks)
    .option('--layers <names>', 'only these layers, e.g. a,b (default: all large ones)', parseNames)
    .addOption(
      new Option(
        '--tied <how>',
        'what happens to an embedding and an output layer with one common matrix',
      ).choices(['share', 'split', 'refuse']),
    )
    .option('--json', 'print JSON')
    .option('--quiet', 'do not print progress')
    .option('--verbose', 'also print how the backend was chosen, and the stack of an error')
    .action(async (input: string, options: CompressCommandOptions) => {
      const { compress } = await import('../commands/compress.js');
      await compress(input, options);
    });
}

const TARGETS = ['ratio', 'budget', 'maxError'];

/** One of three options that exclude each other. */
function target(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.conflicts(TARGETS.filter((name) => name !== option.attributeName()));
}
