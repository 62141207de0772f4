import type { Command } from 'commander';
import type { StudyReportOptions, StudyRunOptions } from '../commands/study.js';
import { concurrency } from './options.js';

/** Adds `espalier study …`. */
export function addStudyCommands(program: Command, setExitCode: (code: number) => void): void {
  const study = program
    .command('study')
    .description('Compare variants of a run, with the same seeds for each (ablation studies).');
  const addCommand = (name: string, description: string) =>
    study
      .command(name)
      .description(description)
      .argument('<study>', 'a .ts, .js or .json file')
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
    'Print the table, and write report.html, report.md, results.csv and differences.svg.',
  )
    .option('--test', 'evaluate the test data, once, when all trials have finished')
    .option('--test-again', 'evaluate the test data again after the study has changed')
    .addOption(concurrency())
    .action(async (path: string, options: StudyReportOptions) => {
      const { report } = await import('../commands/study.js');
      await report(path, options);
    });
}
