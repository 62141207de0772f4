import { EspalierError } from '@espalier/base';
import { normalDistortions } from './normal-levels.js';

/** A group of rows, and the bases that they may be coded in. */
export interface RowGroup {
  /** How many rows share the choice. */
  readonly rows: number;
  /** At least one. */
  readonly bases: readonly BasisCurve[];
}

/** What coding a group of rows in a basis costs and loses: measured once, before anything is encoded. */
export interface BasisCurve {
  /**
   * `[directions]`: the weighted squared error that each direction adds while it has no bits. Of the rows times the
   * eigenvectors of their weighted Gram matrix these are its eigenvalues.
   */
  readonly energies: ArrayLike<number>;
  /** Bytes of a direction that has bits, beside its codes: its row of the basis, its scale. */
  readonly directionBytes: number;
  /** Bytes beside those of a group in which any direction has bits: the widths, the norms of its rows. */
  readonly groupBytes: number;
}

/** Bits of each direction of a group; all 0: nothing is stored, and its rows are zeros. */
export interface BitChoice {
  /** Number of the basis. */
  readonly basis: number;
  readonly bits: Uint8Array;
  readonly bytes: number;
  readonly error: number;
}

/** A choice for each group, and what they take and lose together. */
export interface BitAllocation {
  readonly choices: readonly BitChoice[];
  readonly bytes: number;
  readonly error: number;
}

/** Options of {@link allocateBits}. */
export interface AllocateBitsOptions {
  /** What is left of a direction's energy at 0, 1, … bits, falling and convex; default: `normalDistortions(8)`. */
  readonly distortions?: readonly number[];
}

const HALVINGS = 48;

/**
 * Shares bytes out among groups of rows and their directions, so that the error that is left is least: each bit goes
 * where it takes off most for a byte (reverse water-filling). One price of a byte holds for all choices and is
 * found by bisection; what it leaves of the budget goes to single bits.
 *
 * @param budget Bytes of all groups together. Storing nothing takes none.
 * @throws EspalierError `compression/allocation`: numbers that are negative or not finite.
 * @see Cover & Thomas, Elements of Information Theory, section 10.3.3; Shoham & Gersho 1988, Efficient bit
 * allocation for an arbitrary set of quantizers, IEEE Transactions on Acoustics, Speech, and Signal Processing 36.
 * @example
 * const basis = { energies: [90, 9, 1], directionBytes: 7, groupBytes: 3 };
 * allocateBits([{ rows: 1000, bases: [basis] }], 1000).choices[0]; // { basis: 0, bits: [4, 3, 0], … }
 */
export function allocateBits(
  groups: readonly RowGroup[],
  budget: number,
  { distortions = normalDistortions(8) }: AllocateBitsOptions = {},
): BitAllocation {
  checkGroups(groups, budget);
  const start = chooseAtPrice(groups, budget, distortions);
  const choices = spendRest(groups, start, budget, distortions);
  return { choices, ...sumUp(choices) };
}

/** The choices at the least price whose bytes stay within the budget. */
function chooseAtPrice(
  groups: readonly RowGroup[],
  budget: number,
  distortions: readonly number[],
): readonly BitChoice[] {
  const nothing = groups.map((group) => storeNothing(group, distortions));
  const at = (price: number) =>
    groups.map((group, i) => chooseCheapest(group, nothing[i]!, price, distortions));
  // At the first all that counts is worth its bytes; at the last nothing is.
  let [low, high] = rangePrices(groups);
  let best: readonly BitChoice[] = nothing;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (high + low) / 2;
    const found = at(Math.exp(middle));
    if (sumUp(found).bytes > budget) low = middle;
    else [high, best] = [middle, found];
  }
  return best;
}

/** Logarithms of a price at which all that counts is worth its bytes, and of one at which nothing is. */
function rangePrices(groups: readonly RowGroup[]): [low: number, high: number] {
  const sums = groups.flatMap(({ bases }) =>
    bases.map(({ energies }) => Array.from(energies).reduce((a, b) => a + b, 0)),
  );
  const high = Math.log(8 * Math.max(...sums, Number.MIN_VALUE)); // an eighth of a byte takes off all
  return [high - 100, high];
}

function storeNothing({ rows, bases }: RowGroup, distortions: readonly number[]): BitChoice {
  return toChoice(rows, bases, 0, new Uint8Array(bases[0]!.energies.length), distortions);
}

function chooseCheapest(
  { rows, bases }: RowGroup,
  nothing: BitChoice,
  price: number,
  distortions: readonly number[],
): BitChoice {
  let [best, least] = [nothing, nothing.error];
  bases.forEach((curve, basis) => {
    const bits = chooseBits(rows, curve, price, distortions);
    const choice = toChoice(rows, bases, basis, bits, distortions);
    const cost = choice.error + price * choice.bytes;
    if (cost < least) [best, least] = [choice, cost];
  });
  return best;
}

/**
 * The bits of each direction that cost least together with their bytes. What a further bit takes off falls from
 * bit to bit, so those come first that are worth their bytes alone; then all of them must be worth the
 * direction's own bytes too.
 */
function chooseBits(
  rows: number,
  { energies, directionBytes }: BasisCurve,
  price: number,
  distortions: readonly number[],
): Uint8Array {
  const [whole, bitPrice] = [distortions[0]!, (price * rows) / 8];
  const chosen = new Uint8Array(energies.length);
  for (let k = 0; k < energies.length; k++) {
    const energy = energies[k]!;
    let bits = 1;
    while (
      bits + 1 < distortions.length &&
      energy * (distortions[bits]! - distortions[bits + 1]!) > bitPrice
    ) {
      bits++;
    }
    const gain = energy * (whole - distortions[bits]!);
    if (gain > bits * bitPrice + price * directionBytes) chosen[k] = bits;
  }
  return chosen;
}

function toChoice(
  rows: number,
  bases: readonly BasisCurve[],
  basis: number,
  bits: Uint8Array,
  distortions: readonly number[],
): BitChoice {
  const { energies, directionBytes, groupBytes } = bases[basis]!;
  let [sum, used, error] = [0, 0, 0];
  for (let k = 0; k < bits.length; k++) {
    const each = bits[k]!;
    sum += each;
    used += each > 0 ? 1 : 0;
    error += energies[k]! * distortions[each]!;
  }
  const bytes = (rows * sum) / 8 + used * directionBytes + (used > 0 ? groupBytes : 0);
  return { basis, bits, bytes, error };
}

/** One bit more for a direction. */
interface Raise {
  readonly group: number;
  readonly direction: number;
  readonly bytes: number;
  readonly worth: number;
}

/** Single bits, those of most gain for a byte first, while they fit. */
function spendRest(
  groups: readonly RowGroup[],
  start: readonly BitChoice[],
  budget: number,
  distortions: readonly number[],
): readonly BitChoice[] {
  const bits = start.map((choice) => choice.bits.slice());
  let left = budget - sumUp(start).bytes;
  // Again, since a further bit of a direction may fit, too.
  for (let raised = true; raised;) {
    raised = false;
    const raises = groups.flatMap((group, i) =>
      listRaises(group, i, start[i]!.basis, bits[i]!, distortions, left),
    );
    raises.sort((a, b) => b.worth - a.worth);
    for (const { group, direction, bytes } of raises) {
      const isFirst = bits[group]!.every((each) => each === 0);
      const { groupBytes } = groups[group]!.bases[start[group]!.basis]!;
      const all = bytes + (isFirst ? groupBytes : 0);
      if (all > left) continue;
      left -= all;
      bits[group]![direction]!++;
      raised = true;
    }
  }
  return start.map(({ basis }, i) => {
    const { rows, bases } = groups[i]!;
    return toChoice(rows, bases, basis, bits[i]!, distortions);
  });
}

/** The next bit of each direction of a group that gains anything and may fit. */
function listRaises(
  { rows, bases }: RowGroup,
  group: number,
  basis: number,
  bits: Uint8Array,
  distortions: readonly number[],
  left: number,
): readonly Raise[] {
  const { energies, directionBytes } = bases[basis]!;
  const raises: Raise[] = [];
  for (let direction = 0; direction < bits.length; direction++) {
    const from = bits[direction]!;
    if (from + 1 === distortions.length) continue;
    const bytes = rows / 8 + (from > 0 ? 0 : directionBytes);
    const gain = energies[direction]! * (distortions[from]! - distortions[from + 1]!);
    if (gain > 0 && bytes <= left) raises.push({ group, direction, bytes, worth: gain / bytes });
  }
  return raises;
}

function sumUp(choices: readonly BitChoice[]): { readonly bytes: number; readonly error: number } {
  const sum = (key: 'bytes' | 'error') => choices.reduce((total, each) => total + each[key], 0);
  return { bytes: sum('bytes'), error: sum('error') };
}

function checkGroups(groups: readonly RowGroup[], budget: number): void {
  groups.forEach(({ rows, bases }, i) => {
    const numbers = bases.flatMap(({ energies, directionBytes, groupBytes }) => [
      ...[directionBytes, groupBytes],
      ...Array.from(energies),
    ]);
    refuseUnless(
      [rows, ...numbers].find((each) => !(each >= 0 && each < Infinity)),
      `of group ${i}`,
    );
  });
  refuseUnless(budget >= 0 ? undefined : budget, 'of bytes in the budget');
}

function refuseUnless(bad: number | undefined, what: string): void {
  if (bad === undefined) return;
  throw new EspalierError('compression/allocation', {
    problem: `a number ${what} is negative or not finite`,
    received: bad,
    fix: 'Give energies, errors and bytes that are finite and at least 0.',
  });
}
