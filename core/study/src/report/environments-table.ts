import { table } from '@espalier/report';
import type { Table } from '@espalier/report';
import type { Findings } from '../analysis/findings.js';

/** With which commit and on which machine trials ran. */
export function environmentsTable({ environments }: Findings): Table {
  return table({
    title: 'Where the trials ran',
    columns: [
      { key: 'trials', label: 'Trials' },
      { key: 'commit', label: 'Commit' },
      { key: 'backend', label: 'Backend' },
      { key: 'machine', label: 'Machine' },
      { key: 'versions', label: 'Versions' },
    ],
    rows: environments.map(({ trials, commit, backend, machine, node, espalier }) => ({
      trials,
      commit: commit && `${commit.hash.slice(0, 10)}${commit.dirty ? ', with changes' : ''}`,
      backend,
      machine,
      versions: `espalier ${espalier}, Node.js ${node}`,
    })),
    caption:
      'Tuning trials too. Trials are the same wherever they run with the same code, data, backend and major version of Node.js: their ids say so. Times are comparable on one machine only.',
  });
}
