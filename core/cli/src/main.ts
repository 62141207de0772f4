import { createRequire } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import type { EvalOptions } from './commands/eval.js';
import type { ExplainOptions } from './commands/explain.js';
import type { ExportOptions } from './commands/export.js';
import type { InspectOptions } from './commands/inspect.js';
import type { TrainOptions } from './commands/train.js';
import { printAside, printPart, printPartAside } from './print.js';
import { addCompressCommand } from './program/compress.js';
import { addDecompressCommand } from './program/decompress.js';
import { allowMismatch, checkpoint, fieldOption, repeatable } from './program/options.js';
import { addStudyCommands } from './program/study.js';

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
  $ espalier decompress small --out words.npy
`;

/**
 * Runs the command line. Errors go to standard error; it throws none.
 *
 * @param args The arguments, without the interpreter and the script.
 * @returns The exit code: 0; 1 for a run that failed; 2 for a wrong command; 130 after Ctrl-C, 143 after SIGTERM.
 * @example
 * process.exitCode = await main(['train', 'espalier.config.ts']);
 */
export async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = makeProgram((exitCode) => (code = exitCode));
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    printAside(`espalier: ${formatError(error, wantsStack(args))}`);
    return 1;
  }
}

// Commands are imported when they run: help and usage errors need no TensorFlow.js.
function makeProgram(setExitCode: (code: number) => void): Command {
  const program = new Command('espalier')
    .description('Trains TensorFlow.js models from a configuration file, and compresses models.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError()
    .configureOutput({ writeOut: printPart, writeErr: printPartAside })
    .exitOverride();
  addTrainCommand(program, setExitCode);
  addCommand(program, 'eval', 'Print the metrics of a trained model.')
    .addOption(checkpoint())
    .addOption(allowMismatch())
    .addOption(
      new Option('--split <name>', 'the data to use (default: test, else validation)').choices([
        'train',
        'validation',
        'test',
      ]),
    )
    .option('--json', 'print JSON')
    .action(async (config: string, options: EvalOptions) => {
      const { evaluate } = await import('./commands/eval.js');
      await evaluate(config, options);
    });
  addExportCommand(program);
  addCommand(
    program,
    'inspect',
    'Print plugins, options and where they come from, hooks, parameters.',
  )
    .option('--json', 'print JSON')
    .action(async (config: string, options: InspectOptions) => {
      const { inspect } = await import('./commands/inspect.js');
      await inspect(config, options);
    });
  addCommand(program, 'explain', 'Print which plugins use a hook, in which order and why.')
    .argument('[hook]', 'default: every hook that a plugin uses')
    .action(async (config: string, hook: string | undefined, options: ExplainOptions) => {
      const { explain } = await import('./commands/explain.js');
      await explain(config, hook, options);
    });
  addStudyCommands(program, setExitCode);
  addCompressCommand(program);
  addDecompressCommand(program);
  return program;
}

interface RawTrainOptions extends TrainOptions {
  readonly epochs?: string;
  readonly seed?: string;
}

function addTrainCommand(program: Command, setExitCode: (code: number) => void): void {
  addCommand(
    program,
    'train',
    'Train a model. Ctrl-C saves a checkpoint and prints the command that resumes.',
  )
    .option('--resume [path]', 'resume from the newest checkpoint, or from this file or folder')
    .addOption(fieldOption('epochs', 'number of epochs in all, for a configuration without stages'))
    .addOption(fieldOption('seed', 'seed of all random numbers'))
    .addOption(allowMismatch())
    .option('--go-on', 'with --resume: continue a run that a plugin has stopped')
    .option('--quiet', 'do not print progress')
    .action(async (config: string, { epochs, seed, set, ...options }: RawTrainOptions) => {
      const { train } = await import('./commands/train.js');
      const sets = [...set, ...[epochs, seed].filter((text) => text !== undefined)];
      setExitCode(await train(config, { ...options, set: sets }));
    });
}

function addExportCommand(program: Command): void {
  addCommand(program, 'export', 'Write the trained model to a folder.')
    .requiredOption('--out <dir>', 'folder of the model: new, empty, or with an earlier export')
    .addOption(
      new Option(
        '--format <name>',
        'tfjs: model.json and weights; dense: the same, with compressed layers decoded; artifact: for loadArtifact',
      )
        .choices(['tfjs', 'dense', 'artifact'])
        .default('tfjs'),
    )
    .addOption(checkpoint())
    .addOption(allowMismatch())
    .action(async (config: string, options: ExportOptions) => {
      const { exportModel } = await import('./commands/export.js');
      await exportModel(config, options);
    });
}

/** Adds a command that reads a configuration. */
function addCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('<config>', 'a .ts, .js or .json file')
    .addOption(repeatable('--set <path=value>', 'change a field of the configuration'))
    .option(
      '--verbose',
      'also print loss terms, how the backend was chosen, and the stack of an error',
    );
}

function wantsStack(args: readonly string[]): boolean {
  return args.includes('--verbose') || Boolean(process.env['DEBUG']);
}

function formatError(error: unknown, withStack: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (!withStack) return error.message;
  const cause = error.cause === undefined ? '' : `\ncaused by ${formatError(error.cause, true)}`;
  return `${error.stack ?? error.message}${cause}`;
}
