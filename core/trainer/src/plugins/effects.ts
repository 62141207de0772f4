import { EspalierError, findNear, matches } from '@espalier/base';
import type { Edge } from '../hooks/order.js';

/**
 * How a plugin changes a resource: it adds something (`add`), changes the value it gets (`modify`), puts
 * in place a value that does not depend on the one it gets (`replace`), or is the only one to change it
 * (`own`). One plugin may replace a resource: it comes first, and what others add and modify is kept.
 */
export type Mode = 'add' | 'modify' | 'replace' | 'own';

/**
 * What a plugin changes, declared in its definition: resource → mode. A resource is a kind, `kind:name` or
 * `kind:name/part`, each of which includes the next, or a pattern `kind:prefix*`. The kinds `batch`,
 * `targets`, `loss`, `gradients` and `structure` open hooks, and `weights:<path>` opens `ctx.assign` for
 * these parameters. Names of your own are checked for conflicts only.
 *
 * @example
 * const effects = { loss: 'add', 'targets:logits': 'modify' } as const;
 */
export type Effects = Readonly<Record<string, Mode>>;

/** A plugin's declared effects, as far as conflicts are concerned. */
export interface Declared {
  readonly id: string;
  readonly effects: Effects;
}

/**
 * Refuses two who own or replace one resource, and an owner beside anyone who modifies it; and a name that is
 * nearly one of the kinds.
 *
 * @throws EspalierError `effects/conflict`, naming both plugins and the ways out; `effects/unknown`.
 */
export function checkEffects(plugins: readonly Declared[]): void {
  plugins.forEach(refuseTypingErrors);
  plugins.forEach((first, i) => {
    for (const second of plugins.slice(i + 1)) {
      const clash = conflict(first.effects, second.effects);
      if (clash) throw conflictError(first, second, clash);
    }
  });
}

/** What opens hooks and functions of the context. */
const KINDS = [
  'batch',
  'targets',
  'loss',
  'gradients',
  'structure',
  'weights',
  'updates',
  'evaluation',
];

function refuseTypingErrors({ id, effects }: Declared): void {
  for (const resource of Object.keys(effects)) {
    const [kind] = resource.split(':') as [string];
    const near = KINDS.includes(kind) ? undefined : findNear(kind, KINDS);
    if (near === undefined) continue;
    throw new EspalierError('effects/unknown', {
      problem: `plugin '${id}' declares an effect on '${resource}', which opens nothing and is nearly '${near}'`,
      fix: `Write '${near}'. A resource of your own needs a name that is not so near.`,
    });
  }
}

function conflict(a: Effects, b: Effects): readonly [string, string] | undefined {
  for (const [left, leftMode] of Object.entries(a)) {
    for (const [right, rightMode] of Object.entries(b)) {
      if (exclude(leftMode, rightMode) && overlap(left, right)) return [left, right];
    }
  }
  return undefined;
}

function exclude(a: Mode, b: Mode): boolean {
  if (a === 'add' || b === 'add') return false;
  return a === 'own' || b === 'own' || (a === 'replace' && b === 'replace');
}

/**
 * Who comes before whom on the hook of a kind of resource: whoever replaces something before those
 * who modify it, or their work would be lost.
 *
 * @param handsOn Whether a value goes from tap to tap; what was added to it would be lost too.
 */
export function putReplacersFirst(
  plugins: readonly Declared[],
  { kind, handsOn }: { readonly kind: string; readonly handsOn: boolean },
): Edge[] {
  const ofKind = plugins.flatMap(({ id, effects }) =>
    Object.entries(effects)
      .filter(([resource]) => overlap(resource, kind))
      .map(([resource, mode]) => ({ id, resource, mode })),
  );
  return ofKind
    .filter(({ mode }) => mode === 'replace')
    .flatMap(({ id, resource }) =>
      ofKind
        .filter((other) => other.id !== id && (handsOn || other.mode !== 'add'))
        .filter((other) => overlap(other.resource, resource))
        .map((other): Edge => [id, other.id, `it replaces ${resource}`]),
    );
}

function conflictError(
  first: Declared,
  second: Declared,
  [left, right]: readonly [string, string],
): EspalierError {
  const says = (plugin: Declared, resource: string) =>
    `'${plugin.id}' declares '${resource}: ${plugin.effects[resource]}'`;
  return new EspalierError('effects/conflict', {
    problem: `two plugins claim one resource: ${says(first, left)} and ${says(second, right)}`,
    fix: `Remove one (in a preset: { ${second.id}: false }), narrow what they claim by an option, or write one so that it builds on what it is given: 'modify', with an order.`,
  });
}

/** Whether two resource names can mean the same thing. */
export function overlap(a: string, b: string): boolean {
  const [prefixA, prefixB] = [a, b].map((name) => name.replace(/\*$/, ''));
  if (a.endsWith('*') && prefixB!.startsWith(prefixA!)) return true;
  if (b.endsWith('*') && prefixA!.startsWith(prefixB!)) return true;
  return holds(a, b) || holds(b, a);
}

/** Whether a resource is another one or a part of it: `kind` ⊇ `kind:name` ⊇ `kind:name/part`. */
function holds(whole: string, part: string): boolean {
  return part === whole || part.startsWith(`${whole}${whole.includes(':') ? '/' : ':'}`);
}

/** Whether `effects` allow touching `resource` in one of `modes`. */
export function allows(effects: Effects, resource: string, modes: readonly Mode[]): boolean {
  return Object.entries(effects).some(
    ([declared, mode]) => modes.includes(mode) && covers(declared, resource),
  );
}

function covers(declared: string, resource: string): boolean {
  return declared.includes('*') ? matches(declared, resource) : holds(declared, resource);
}

/** Whether `effects` name a resource of a kind: `'targets:logits'` is of kind `targets`. */
export function declaresKind(effects: Effects, kind: string): boolean {
  return Object.keys(effects).some((name) => name === kind || name.startsWith(`${kind}:`));
}

/** Whether `effects` are on the structure of the model itself, not only on networks beside it. */
export function changesModel(effects: Effects): boolean {
  const structural = Object.keys(effects).filter((name) => /^structure(:|$)/.test(name));
  return structural.some((name) => name !== 'structure:networks');
}
