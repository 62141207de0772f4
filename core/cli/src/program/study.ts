import type { Command } from 'commander';
import type { StudyReportOptions } from '../commands/study-report.js';
import type { StudyRunOptions } from '../commands/study.js';
import { concurrency } from './options.js';

/** Adds `espalier study …`. */
export function addStudyCommands(program: Command, setExitCode: (code: number) => void): void {
  const study = program
    .command('study')
    .description('Compare variants of a run, with the same seeds for each (ablation studies).');
  const addCommand = (name: string, description: string, file = 'a .ts, .js or .json file') =>
    study
      .command(name)
      .description(description)
      .argument('<study>', file)
      .option('--verbose', 'also print the stack of an error');
  addCommand('plan', 'Print the rows, what each of them changes, and the remaining time.')
    .addOption(concurrency())
    .action(async (path: string, options: StudyRunOptions) => {
      const { planStudy } = await import('../commands/study.js');
      await planStudy(path, options);
    });
  addCommand('run', 'Run the remaining trials. Ctrl-C saves; the same command resumes.')
    .addOption(concurrency())
    .option('--retry-failed', 'run failed trials again')
    .option(
      '--new-trials',
      'train anew beside finished trials that ran with other code, data, backend or Node.js',
    )
    .option('--quiet', 'do not print progress')
    .action(async (path: string, options: StudyRunOptions) => {
      const { run } = await import('../commands/study.js');
      setExitCode(await run(path, options));
    });
  addCommand('status', 'Print the finished trials, and why trials failed.').action(
    async (path: string) => {
      const { status } = await import('../commands/study.js');
      await status(path);
    },
  );
  addCommand(
    'report',
    'Print the tables, and write report.html, report.md, results.csv, results.json and plots.',
    'a .ts, .js or .json file, or a packed study (.gz), which needs no data, code or training',
  )
    .option('--out <folder>', 'where to write (default: the folder of the results)')
    .option('--study <file>', 'of a packed study: the study, to compare its present code and data')
    .option('--test', 'evaluate the test data, once, when all trials have finished')
    .option('--test-again', 'evaluate the test data again after the study has changed')
    .addOption(concurrency())
    .action(async (path: string, options: StudyReportOptions) => {
      const { report } = await import('../commands/study-report.js');
      await report(path, options);
    });
  addCommand(
    'pack',
    'Write what is known of a study into one compressed file, to keep with its code.',
  )
    .option('--out <file>', 'the file, ending in .gz (default: <name>.study.gz beside the study)')
    .action(async (path: string, options: { readonly out?: string }) => {
      const { pack } = await import('../commands/study-pack.js');
      await pack(path, options);
    });
  addCommand(
    'unpack',
    'Put a packed study back, so that study run goes on.',
    'a packed study (.gz)',
  )
    .option(
      '--dir <folder>',
      "the study's folder of results (default: runs/<name> beside the file)",
    )
    .action(async (path: string, options: { readonly dir?: string }) => {
      const { unpack } = await import('../commands/study-pack.js');
      await unpack(path, options);
    });
}
