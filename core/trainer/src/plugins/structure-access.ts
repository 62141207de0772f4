import { copyJson, EspalierError } from '@espalier/base';
import type { Network } from '@espalier/model';
import type { Run } from '../run.js';
import type { Structure } from '../structure/structure.js';
import type { Guards } from './guards.js';
import type { StructureAccess } from './plugin.js';

/** What plugins with a `structure` effect may do to the model. */
export function createStructureAccess(
  plugin: string,
  run: Run,
  { atSetup, afterSetup }: Guards,
): StructureAccess {
  const { networks, objective, structure } = run;
  return {
    edit: (change, detail) => editStructure(run, plugin, change, detail),
    addNetwork: atSetup('addNetwork', (make, { group = plugin } = {}) => {
      let network!: Network;
      const add = () => void (network = structure.addNetwork(make, plugin, group));
      networks.push({ plugin, add });
      return {
        execute: afterSetup('addNetwork(…).execute', (inputs, how = {}) =>
          objective.runAuxiliary({ network, plugin }, inputs, how),
        ),
      };
    }),
  };
}

function editStructure(
  { phase, structure, telemetry }: Run,
  plugin: string,
  change: Parameters<Structure['edit']>[0],
  detail: unknown,
): void {
  if (phase !== 'setup' && phase !== 'transform') {
    throw new EspalierError('plugin/edit-phase', {
      problem: 'the model can be edited at setup and inside a transform tap only',
      fix: 'Move the edit there; optimizer state and graph are then rebuilt together.',
    });
  }
  const copied = detail === undefined ? undefined : copyJson(detail, 'detail');
  const before = listRegularized(structure);
  structure.edit(change, { plugin, phase, detail: copied });
  const message = describeLostRegularizers(before, listRegularized(structure));
  if (message !== undefined) telemetry.emit('warning', { message, plugin });
}

function listRegularized({ network }: Structure): readonly string[] {
  return network.regularizers.map(({ path }) => path);
}

/** Which regularizers an edit took away; a plugin that moved one reports that itself. */
function describeLostRegularizers(
  before: readonly string[],
  after: readonly string[],
): string | undefined {
  const lost = before.filter((path) => !after.includes(path));
  const added = after.filter((path) => !before.includes(path));
  if (lost.length <= added.length) return undefined;
  const now = added.length === 0 ? '' : `; new ones are on '${added.join("', '")}'`;
  return `the regularizers of '${lost.join("', '")}' are gone with the layers that had them${now}`;
}
