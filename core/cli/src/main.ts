import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { CompressOptions } from './commands/compress.js';
import type { EvalOptions } from './commands/eval.js';
import type { ExplainOptions } from './commands/explain.js';
import type { ExportOptions } from './commands/export.js';
import type { InspectOptions } from './commands/inspect.js';
import type { StudyReportOptions, StudyRunOptions } from './commands/study.js';
import type { TrainOptions } from './commands/train.js';
import {
  parseBits,
  parseBlocks,
  parseNames,
  parseRatio,
  parseShare,
} from './compress/parse-flags.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

const EXAMPLES = `
Examples:
  $ espalier train espalier.config.ts
  $ espalier train espalier.config.ts --resume
  $ espalier train run.json --epochs 20 --set optimizer.options.learningRate=0.01
  $ espalier train run.json --set plugins.multi-exit.options.detach=true --set checkpoint.dir=runs/b
  $ espalier eval run.json --split test --json
  $ espalier export run.json --out small --format dense
  $ espalier inspect run.json
  $ espalier explain run.json loss
  $ espalier study run study.ts
  $ espalier compress model.safetensors --counts counts.tsv --ratio 8 --out small
`;

/**
 * The command line.
 *
 * @param args Without the interpreter and the script.
 * @returns the exit code: 0, 1 for a run that failed, 2 for a command that cannot be understood, 130
 * after Ctrl-C.
 */
export async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = makeProgram((exitCode) => (code = exitCode));
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`espalier: ${describe(error, wantsStack(args))}\n`);
    return 1;
  }
}

// Commands are loaded when they are called: help and usage errors need no TensorFlow.js.
function makeProgram(setExitCode: (code: number) => void): Command {
  const program = new Command('espalier')
    .description(
      'Trains a TensorFlow.js model as a configuration file says, and compresses models.',
    )
    .version(version)
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(see espalier --help)')
    .exitOverride();
  command(program, 'train', 'train; Ctrl-C saves and says how to resume')
    .option('--resume [path]', 'go on from the newest checkpoint, or from this file or folder')
    .option(
      '--epochs <n>',
      'epochs in all, of a configuration without stages; short for --set epochs=<n>',
      addSetOption('epochs'),
    )
    .option('--seed <n>', 'short for --set seed=<n>', addSetOption('seed'))
    .addOption(allowMismatch())
    .option('--go-on', 'with --resume: train on though a plugin stopped the run')
    .option('--quiet', 'no progress')
    .action(async (config: string, { epochs, seed, set, ...options }: RawTrainOptions) => {
      const { train } = await import('./commands/train.js');
      const sets = [...set, ...[epochs, seed].filter((text) => text !== undefined)];
      setExitCode(await train(config, { ...options, set: sets }));
    });
  command(program, 'eval', 'print the metrics of a trained model')
    .option('--checkpoint <path>', 'a file or folder; default: the newest checkpoint')
    .addOption(allowMismatch())
    .addOption(new Option('--split <data>', 'which data').choices(['train', 'validation', 'test']))
    .option('--json', 'print JSON')
    .action(async (config: string, options: EvalOptions) => {
      const { evaluate } = await import('./commands/eval.js');
      await evaluate(config, options);
    });
  command(program, 'export', 'write the trained model for use elsewhere')
    .requiredOption('--out <dir>', 'folder for it: new, or an earlier export')
    .addOption(
      new Option(
        '--format <what>',
        'tfjs: model.json and weights; dense: the same, compressed layers decoded to ordinary ones; artifact',
      )
        .choices(['tfjs', 'dense', 'artifact'])
        .default('tfjs'),
    )
    .option('--checkpoint <path>', 'a file or folder; default: the newest checkpoint')
    .addOption(allowMismatch())
    .action(async (config: string, options: ExportOptions) => {
      const { exportModel } = await import('./commands/export.js');
      await exportModel(config, options);
    });
  command(program, 'inspect', 'print plugins, options and their origins, hooks, parameters')
    .option('--json', 'print JSON')
    .action(async (config: string, options: InspectOptions) => {
      const { inspect } = await import('./commands/inspect.js');
      await inspect(config, options);
    });
  command(program, 'explain', 'print who taps a hook, in which order and why')
    .argument('[hook]', 'default: every hook that is tapped')
    .action(async (config: string, hook: string | undefined, options: ExplainOptions) => {
      const { explain } = await import('./commands/explain.js');
      await explain(config, hook, options);
    });
  studyCommands(program, setExitCode);
  compressCommand(program);
  return program;
}

interface RawTrainOptions extends TrainOptions {
  readonly epochs?: string;
  readonly seed?: string;
}

function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('<config>', 'a .ts, .js or .json file')
    .option('--set <path=value>', 'change the configuration; may be repeated', collect, [])
    .option('--verbose', 'say more: loss terms, why this backend, the stack of errors');
}

function studyCommands(program: Command, setExitCode: (code: number) => void): void {
  const study = program
    .command('study')
    .description('ablations: rows that differ in one thing, compared seed by seed');
  const sub = (name: string, description: string) =>
    study
      .command(name)
      .description(description)
      .argument('<study>', 'a .ts, .js or .json file')
      .option('--verbose', 'say more: the stack of errors');
  const parseConcurrency = () =>
    new Option('--concurrency <n>', 'trials at a time (default: one for each core)').argParser(
      parsePositiveInteger,
    );
  sub('plan', 'print rows, what they change, and the time that is left')
    .addOption(parseConcurrency())
    .action(async (path: string, options: StudyRunOptions) => {
      const { planStudy } = await import('./commands/study.js');
      await planStudy(path, options);
    });
  sub('run', 'run what is left; Ctrl-C saves, the same command goes on')
    .addOption(parseConcurrency())
    .option('--retry-failed', 'run trials again that failed')
    .option('--quiet', 'no progress')
    .action(async (path: string, options: StudyRunOptions) => {
      const { run } = await import('./commands/study.js');
      setExitCode(await run(path, options));
    });
  sub('status', 'print what has ended, and why trials failed').action(async (path: string) => {
    const { status } = await import('./commands/study.js');
    await status(path);
  });
  sub('report', 'print the table; write report.html, report.md, results.csv, differences.svg')
    .option('--test', 'report on the test data: read once, when the study is finished')
    .option('--test-again', 'read it again, though the study has changed since')
    .addOption(parseConcurrency())
    .action(async (path: string, options: StudyReportOptions) => {
      const { report } = await import('./commands/study.js');
      await report(path, options);
    });
}

function parsePositiveInteger(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function compressCommand(program: Command): void {
  const presets = 'group-reduce, svd, weighted-svd, quantize-only, prune, or module#export';
  program
    .command('compress')
    .description('make a model or a matrix smaller, without training it')
    .argument('<input>', 'a .safetensors or .npy file, the folder of a model.json, or an artifact')
    .requiredOption(
      '--out <dir>',
      'folder for the result and its report: new, or an earlier result',
    )
    .option('--preset <name>', presets, 'group-reduce')
    .addOption(
      target('--ratio <n>', 'times smaller that matrices become (default: 8)').argParser(
        parseRatio,
      ),
    )
    .addOption(target('--budget <size>', 'size of the compressed matrices together, as 10MB'))
    .addOption(
      target('--max-error <n>', 'relative error of each matrix at most').argParser(parseShare),
    )
    .option('--bits <n>', '8, 4, 3, 2 or none (default: as the preset says)', parseBits)
    .option('--counts <file>', 'word counts by word id: JSON, TSV, or a word and its count a line')
    .option('--blocks <n>', 'blocks to cut the words into by frequency, or auto', parseBlocks)
    .option(
      '--layers <names>',
      'only these, as a,b (default: all that are large enough)',
      parseNames,
    )
    .addOption(
      new Option(
        '--tied <how>',
        'what to do with an embedding and a softmax of one matrix',
      ).choices(['share', 'split', 'refuse']),
    )
    .option('--json', 'print JSON')
    .option('--quiet', 'no progress')
    .option('--verbose', 'say more: why this backend, the stack of errors')
    .action(async (input: string, options: CompressOptions) => {
      const { compress } = await import('./commands/compress.js');
      await compress(input, options);
    });
}

/** One of three options that exclude each other. */
function target(flags: string, description: string): Option {
  return new Option(flags, description).conflicts(
    ['ratio', 'budget', 'maxError'].filter((name) => name !== new Option(flags).attributeName()),
  );
}

function allowMismatch(): Option {
  const text = 'accept this difference to the run of the checkpoint; may be repeated';
  return new Option('--allow-mismatch <what>', text).argParser(collect).default([], 'none');
}

/** Collects the values of an option that may be repeated. */
function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

function addSetOption(field: string): (text: string) => string {
  return (text) => {
    if (/^\d+$/.test(text)) return `${field}=${text}`;
    throw new InvalidArgumentError('It must be a whole number.');
  };
}

function wantsStack(args: readonly string[]): boolean {
  return args.includes('--verbose') || Boolean(process.env['DEBUG']);
}

function describe(error: unknown, stack: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (!stack) return error.message;
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause, true)}`;
  return `${error.stack ?? error.message}${cause}`;
}
