import { EspalierError, suggest } from '@espalier/base';

/** What naming needs to know of a layer. */
interface Named {
  readonly name: string;
  readonly className: string;
}

const UNNAMED: Readonly<Record<string, RegExp>> = {
  InputLayer: /^(input)\d+$/,
  Model: /^(model)\d+$/,
  Functional: /^(functional)\d+$/,
  Sequential: /^(sequential)_\d+$/,
};

/**
 * The part of an automatic name that does not depend on a process-wide counter: `dense` of
 * `dense_Dense7`, `input` of `dense_Dense7_input`; `undefined` for a name that somebody chose.
 */
export function automaticStem({ name, className }: Named): string | undefined {
  const container = UNNAMED[className]?.exec(name);
  if (container) return container[1];
  const [, stem, made, input] = /^(.+)_([A-Z]\w*?)\d+(_input)?$/.exec(name) ?? [];
  if (stem?.replaceAll('_', '') !== made?.toLowerCase()) return undefined;
  return input ? 'input' : stem;
}

/**
 * Names that are equal in every build of the same code: chosen names stay, automatic ones become
 * `<stem>_<k>` with k counting from 1 in the given order past names already taken.
 */
export function canonicalise(layers: readonly Named[]): string[] {
  const stems = layers.map(automaticStem);
  const taken = new Set(layers.filter((_, i) => stems[i] === undefined).map(({ name }) => name));
  return layers.map(({ name }, i) => {
    const stem = stems[i];
    if (stem === undefined) return name;
    let k = 1;
    while (taken.has(`${stem}_${k}`)) k++;
    taken.add(`${stem}_${k}`);
    return `${stem}_${k}`;
  });
}

/**
 * Names in a nested model without the `.of.<owner>` that a build gives to those that occur elsewhere too;
 * a name stays as it is where another layer has what would be left of it.
 */
export function withoutOwner(names: readonly string[], owner: string): string[] {
  const suffix = `.of.${owner}`;
  return names.map((name) => {
    if (!name.endsWith(suffix)) return name;
    const rest = name.slice(0, -suffix.length);
    return names.includes(rest) ? name : rest;
  });
}

/** Tells equal names apart: `kernel`, `kernel#2`, … */
export function numberDuplicates(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}

/** Canonical names by the names that layers and outputs have in the user's own model, where the two differ. */
export type OwnNames = Readonly<Record<string, string>>;

/**
 * The canonical name of what somebody calls `name`: a canonical name, or the one that a layer or an output has in
 * the user's own model (`dense_Dense1`). A name that nothing has comes back as it is.
 *
 * @param known The canonical names that it may be.
 * @throws EspalierError `model/ambiguous-name` where it is the canonical name of one layer and the own name of
 * another.
 * @example
 * toCanonicalName('dense_Dense1', ['dense_1', 'logits'], ctx.model.ownNames); // 'dense_1'
 */
export function toCanonicalName(
  name: string,
  known: readonly string[],
  ownNames: OwnNames,
): string {
  const own = findOwn(name, known, ownNames);
  if (own === undefined) return name;
  if (!known.includes(name)) return own;
  throw new EspalierError('model/ambiguous-name', {
    problem: `'${name}' is the name of a layer in your model, which is called '${own}' here, and what another layer is called here`,
    fix: `Say '${own}' for the first; for the other, use the name that it has in your model, or give layers names of your own.`,
  });
}

/** The same for a name of which the caller knows that it is canonical where it can be: plugins make these. */
export function canonicalOr(
  name: string,
  known: readonly string[],
  ownNames: OwnNames = {},
): string {
  return known.includes(name) ? name : (findOwn(name, known, ownNames) ?? name);
}

/**
 * The canonical names that fit, each by itself; where none does, those whose names in the user's own model do.
 *
 * @example
 * filterNames((name) => matches('dense_*', name), ['dense_1', 'logits'], ctx.model.ownNames); // ['dense_1']
 */
export function filterNames(
  fits: (name: string) => boolean,
  known: readonly string[],
  ownNames: OwnNames,
): readonly string[] {
  const found = known.filter(fits);
  if (found.length > 0) return found;
  const own = new Set(Object.keys(ownNames).flatMap((name) => (fits(name) ? ownNames[name]! : [])));
  return known.filter((name) => own.has(name));
}

/** The other name, if it is one that is known. */
function findOwn(name: string, known: readonly string[], ownNames: OwnNames): string | undefined {
  const own = Object.hasOwn(ownNames, name) ? ownNames[name] : undefined;
  return own !== undefined && known.includes(own) ? own : undefined;
}

export function unknownLayerError(name: string, known: readonly string[]): EspalierError {
  return new EspalierError('model/unknown-layer', {
    problem: `the model has no layer '${name}'`,
    fix: suggest(name, known),
  });
}
