import type { Findings } from '../analysis/findings.js';
import { UNKNOWN_TIME } from '../store/readings-file.js';
import { pluralize, formatInstant, joinWithAnd } from './number-text.js';

/** One sentence: the rows, the seeds and the metric that were compared. */
export function describeComparison({ rows, seeds, split }: Findings): string {
  const { metric } = rows[0]!.metrics[0]!;
  const direction = metric.direction === 'max' ? 'higher' : 'lower';
  const by = `${split} ${metric.name} (${direction} is better)`;
  const trained = pluralize(seeds.length, 'seed');
  if (rows.length === 1) return `The base alone, trained with ${trained}: ${by}.`;
  return `${pluralize(rows.length - 1, 'row')}, trained with the same ${trained} as the base and compared with it seed by seed in ${by}.`;
}

/** Tuning, readings of the test data, split and backend, one sentence each. */
export function describeMethod(findings: Findings): readonly string[] {
  const { readings, backend, split, resample } = findings;
  const times = readings.map(({ at, trials }) =>
    at === UNKNOWN_TIME
      ? 'at a time that a damaged record does not tell'
      : `${formatInstant(at)} for ${pluralize(trials, 'trial')}`,
  );
  const read =
    readings.length === 0
      ? 'The test split has not been read.'
      : `The test split was read ${readings.length === 1 ? 'once' : `${readings.length} times`}: ${joinWithAnd(times)}.`;
  const chosen =
    split === 'validation'
      ? [
          'The figures are those of the validation split, which may have been used to choose between rows.',
        ]
      : [];
  const drawn =
    resample === undefined
      ? []
      : [
          `Each seed draws its own training data (${resample}), the same in every row: intervals speak of other samples too.`,
        ];
  return [
    describeTuning(findings),
    ...drawn,
    read,
    ...chosen,
    `Computed with ${backend.line.split('; ')[0]!}.`,
    ...describeEnvironments(findings),
  ];
}

function describeTuning({ tries, tuning: [first] }: Findings): string {
  if (tries === 0) return 'No row was tuned.';
  const draws = tries === 1 ? 'one random try' : `the same ${tries} random tries`;
  const seeds = first && first.seeds.length > 1 ? `, each with ${first.seeds.length} seeds` : '';
  return `Every row was tuned on the validation split with ${draws}${seeds}.`;
}

/** With which commit, and on which machine. */
function describeEnvironments({ environments }: Findings): readonly string[] {
  return environments.map(({ trials, commit, machine, node }) => {
    const code = commit
      ? `commit ${commit.hash.slice(0, 10)}${commit.dirty ? ' with changes' : ''}`
      : 'code outside a repository';
    return `${pluralize(trials, 'trial')} ran with ${code} and Node.js ${node} on ${machine}.`;
  });
}
