import { EspalierError, suggest } from '@espalier/base';

/** Where a plugin or a single tap stands relative to others, by plugin id. */
export interface Order {
  /** Must come before these; an id that is not in the run is an error unless it is in `optional`. */
  readonly before?: readonly string[];
  /** Must come after these; likewise. */
  readonly after?: readonly string[];
  /** Must be in the run; says nothing about order. */
  readonly requires?: readonly string[];
  /** Ids named in `before` and `after` that may be absent. */
  readonly optional?: readonly string[];
}

/** Something to sort: an id, and its wishes. Several items may share an id (taps of one plugin). */
export interface Ordered {
  readonly id: string;
  readonly order?: Order;
}

/** One id comes before another, and why, where that is no plugin's own wish. */
export type Edge = readonly [before: string, after: string, because?: string];

/** One position in the sorted list and the reasons for it, for `explain()`. */
export interface Placed<T> {
  readonly item: T;
  readonly reasons: readonly string[];
}

/**
 * Sorts by `before`/`after`; what no constraint orders goes by id, so the result does not depend on
 * how a preset happens to be written. Items of one id keep the order given.
 *
 * @param plugins All of the run: what one without an item wishes still orders those around it, and
 *   any other id is an error with a suggestion.
 * @param what  Names the list in errors: `plugins`, or a hook.
 * @param implied What holds beside the wishes.
 * @throws EspalierError `order/unknown-id`, `order/missing`, `order/cycle` (shows the path).
 */
export function sortByOrder<T extends Ordered>(
  items: readonly T[],
  plugins: readonly Ordered[],
  what: string,
  implied: readonly Edge[] = [],
): readonly Placed<T>[] {
  const known = plugins.map(({ id }) => id);
  for (const item of items) checkIds(item, known, what);
  const edges = [...implied, ...[...plugins, ...items].flatMap((item) => listEdges(item))];
  const waiting = [...items].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const placed: Placed<T>[] = [];
  while (waiting.length > 0) {
    const next = waiting.find((item) => {
      const before = allBefore(item.id, edges);
      return !waiting.some(({ id }) => before.has(id));
    });
    if (!next) throw cycle(waiting[0]!.id, edges, what);
    waiting.splice(waiting.indexOf(next), 1);
    placed.push({ item: next, reasons: reasons(next, edges, known) });
  }
  return placed;
}

function listEdges({ id, order }: Ordered): Edge[] {
  const before = (order?.before ?? []).map((other): Edge => [id, other]);
  const after = (order?.after ?? []).map((other): Edge => [other, id]);
  return [...before, ...after].filter(([a, b]) => a !== b);
}

function checkIds({ id, order }: Ordered, known: readonly string[], what: string): void {
  const optional = new Set(order?.optional);
  for (const relation of ['before', 'after', 'requires'] as const) {
    for (const other of order?.[relation] ?? []) {
      if (known.includes(other) || (relation !== 'requires' && optional.has(other))) continue;
      throw new EspalierError(relation === 'requires' ? 'order/missing' : 'order/unknown-id', {
        problem: `${what}: plugin '${id}' says ${relation} '${other}', which is not in this run`,
        received: other,
        fix: `${suggest(other, known)} Add the plugin${relation === 'requires' ? '' : `, or list it in '${id}'.order.optional`}.`,
      });
    }
  }
}

/** Every id that must come before `id`, directly or through others. */
function allBefore(id: string, edges: readonly Edge[], found = new Set<string>()): Set<string> {
  for (const [a, b] of edges) {
    if (b === id && !found.has(a)) allBefore(a, edges, found.add(a));
  }
  return found;
}

function cycle(start: string, edges: readonly Edge[], what: string): EspalierError {
  const inLoop = [...allBefore(start, edges), start].filter((id) => allBefore(id, edges).has(id));
  const path = [inLoop[0]!];
  const reasons: string[] = [];
  for (;;) {
    const [previous, , because] = edges.find(([a, b]) => b === path.at(-1) && inLoop.includes(a))!;
    if (because !== undefined) reasons.push(`'${previous}' comes first since ${because}`);
    const first = path.indexOf(previous);
    path.push(previous);
    if (first >= 0) {
      const loop = path.slice(first).reverse().join(' → ');
      return new EspalierError('order/cycle', {
        problem: `${what}: the plugins' order is a cycle: ${loop}`,
        fix: `Remove one of these before/after wishes.${reasons.map((each) => ` ${each}.`).join('')}`,
      });
    }
  }
}

function reasons(item: Ordered, edges: readonly Edge[], known: readonly string[]): string[] {
  const after = edges.filter(([a, b]) => b === item.id && known.includes(a));
  const before = edges.filter(([a, b]) => a === item.id && known.includes(b));
  const why = (because?: string) => (because === undefined ? '' : `: ${because}`);
  const said = [
    ...new Set([
      ...after.map(([a, , because]) => `after ${a}${why(because)}`),
      ...before.map(([, b, because]) => `before ${b}${why(because)}`),
    ]),
  ];
  return said.length > 0 ? said : ['by id'];
}
