import { EspalierError, parseOptions } from '@espalier/core';
import { change } from './schema.js';
import type { CheckedChange, CheckedStudy } from './schema.js';

/** One of the things that a factor may be. */
export interface Level {
  readonly factor: string;
  /** Of a factor with one level, its own name. */
  readonly name: string;
  readonly change: CheckedChange;
  /** What it changes: `preset`, `plugins.<id>`, `bind.<token>`, a path of the configuration. */
  readonly resources: readonly string[];
}

const KINDS = Object.keys(change.shape);

/** The levels of all factors; no two factors may change the same thing. */
export function listLevels({ factors }: CheckedStudy, label: string): readonly Level[] {
  const levels = Object.entries(factors).flatMap(([factor, written]) => {
    const single = Object.keys(written).some((key) => KINDS.includes(key));
    const named = single ? { [factor]: written } : written;
    if (Object.keys(named).length === 0) throw changesNothing(`${label}, factor '${factor}'`);
    return Object.entries(named).map(([name, text]) => {
      const owner = `${label}, factor '${factor}'${single ? '' : `, '${name}'`}`;
      const checked = parseOptions(owner, change, text);
      const resources = listResources(checked);
      if (resources.length === 0) throw changesNothing(owner);
      return { factor, name, change: checked, resources };
    });
  });
  refuseSharedResources(levels, label);
  return levels;
}

function listResources({ drop = [], swap = {}, set = {}, preset }: CheckedChange): string[] {
  return [
    ...(preset === undefined ? [] : ['preset']),
    ...drop.map((id) => `plugins.${id}`),
    ...Object.keys(swap).map((key) => `plugins.${key}`),
    ...Object.keys(set),
  ];
}

function refuseSharedResources(levels: readonly Level[], label: string): void {
  for (const [i, a] of levels.entries()) {
    for (const b of levels.slice(i + 1)) {
      const shared = a.factor !== b.factor && findShared(a, b);
      if (!shared) continue;
      throw new EspalierError('study/shared', {
        problem: `${label}: factors '${a.factor}' and '${b.factor}' both change ${shared}`,
        fix: `Make them levels of one factor: { '${a.factor}': { '${a.name}': { … }, '${b.name}': { … } } }.`,
      });
    }
  }
}

/** The first thing that both change: equal, or one inside the other. */
function findShared(a: Level, b: Level): string | undefined {
  for (const one of a.resources) {
    const other = b.resources.find((each) => overlaps(one, each));
    if (other !== undefined) return one.length > other.length ? one : other;
  }
  return undefined;
}

/** Whether two dotted paths are equal, or one is inside the other. */
export function overlaps(one: string, other: string): boolean {
  return `${one}.`.startsWith(`${other}.`) || `${other}.`.startsWith(`${one}.`);
}

function changesNothing(owner: string): EspalierError {
  return new EspalierError('study/no-change', {
    problem: `${owner} changes nothing`,
    fix: `Give it one of ${KINDS.join(', ')}. The base is a row already.`,
  });
}
