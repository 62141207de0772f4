import { EspalierError, EXITS, suggest, toCanonicalName } from '@espalier/core';
import type { PluginContext } from '@espalier/core';
import { z } from 'zod';

/** Which exits a teacher has targets for. */
export const taughtExits = z
  .union([z.enum(['all', 'auxiliary']), z.array(z.string()).min(1)])
  .default('all');

/**
 * Names of the outputs to teach. In a network without exits: those that classify, if it has several.
 *
 * @throws EspalierError `<plugin>/exits`, `services/missing`.
 */
export function listTaughtExits(
  { id, model, losses, has, get }: Pick<PluginContext, 'id' | 'model' | 'losses' | 'has' | 'get'>,
  wanted: z.output<typeof taughtExits>,
): readonly string[] {
  if (wanted === 'auxiliary') return get(EXITS).names.slice(0, -1);
  if (wanted === 'all') return has(EXITS) ? get(EXITS).names : listClassifiers(losses);
  const { outputNames, ownNames } = model;
  const exits = wanted.map((name) => toCanonicalName(name, outputNames, ownNames));
  const unknown = exits.find((name) => !outputNames.includes(name));
  if (unknown === undefined) return exits;
  throw new EspalierError(`${id}/exits`, {
    problem: `the model has no output '${unknown}' to teach`,
    received: wanted,
    fix: suggest(unknown, outputNames),
  });
}

function listClassifiers(losses: PluginContext['losses']): readonly string[] {
  const all = Object.keys(losses);
  const found = all.filter((name) => losses[name]!.classIds);
  return found.length > 0 ? found : all;
}
