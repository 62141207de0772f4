import { EspalierError } from '@espalier/base';
import { normalDistortions } from './normal-levels.js';

/** What a group of rows costs and loses, however it is stored: measured once, before anything is encoded. */
export interface RowGroupCurve {
  /** How many rows share the choice. */
  readonly rows: number;
  /**
   * `[directions]`: the weighted squared error that each direction adds while it has no bits. Of the rows times the
   * eigenvectors of their weighted Gram matrix these are its eigenvalues.
   */
  readonly energies: ArrayLike<number>;
  /** Bytes of a direction that has bits, beside its codes: its row of the basis, its scale. */
  readonly directionBytes: number;
  /** Bytes beside those of a group in which any direction has bits: the widths, the norms of its rows. */
  readonly groupBytes: number;
  /** Other ways to store the whole group. */
  readonly others?: readonly WholeChoice[];
}

/** A way to store all rows of a group that leaves no bits to choose. */
export interface WholeChoice {
  readonly kind: string;
  readonly bytes: number;
  /** Weighted squared error, as in `energies`. */
  readonly error: number;
}

/** Bits of each direction of a group; all 0: nothing is stored, and its rows are zeros. */
export interface BitChoice {
  readonly kind: 'bits';
  readonly bits: Uint8Array;
  readonly bytes: number;
  readonly error: number;
}

/** A choice for each group, and what they take and lose together. */
export interface BitAllocation {
  readonly choices: readonly (BitChoice | WholeChoice)[];
  readonly bytes: number;
  readonly error: number;
}

/** Options of {@link allocateBits}. */
export interface AllocateBitsOptions {
  /** What is left of a direction's energy at 0, 1, … bits, falling and convex; default: `normalDistortions(8)`. */
  readonly distortions?: readonly number[];
}

const HALVINGS = 64;

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
 * const group = { rows: 1000, energies: [90, 9, 1], directionBytes: 7, groupBytes: 3 };
 * allocateBits([group], 1000).choices[0]; // { kind: 'bits', bits: [4, 3, 0], … }
 */
export function allocateBits(
  groups: readonly RowGroupCurve[],
  budget: number,
  { distortions = normalDistortions(8) }: AllocateBitsOptions = {},
): BitAllocation {
  checkGroups(groups, budget);
  const choices = spendRest(
    groups,
    chooseAtPrice(groups, budget, distortions),
    budget,
    distortions,
  );
  return { choices, ...sumUp(choices) };
}

type Choice = BitChoice | WholeChoice;

/** The choices at the least price whose bytes stay within the budget. */
function chooseAtPrice(
  groups: readonly RowGroupCurve[],
  budget: number,
  distortions: readonly number[],
): readonly Choice[] {
  const nothing = groups.map((group) => storeNothing(group, distortions));
  const at = (price: number) =>
    groups.map((group, i) => chooseCheapest(group, nothing[i]!, price, distortions));
  // At the first nothing is worth its bytes; at the last all is.
  let [high, low] = [Math.log(Number.MAX_VALUE), Math.log(Number.MIN_VALUE)];
  let best: readonly Choice[] = nothing;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (high + low) / 2;
    const found = at(Math.exp(middle));
    if (sumUp(found).bytes > budget) low = middle;
    else [high, best] = [middle, found];
  }
  return best;
}

function storeNothing(group: RowGroupCurve, distortions: readonly number[]): BitChoice {
  return toChoice(group, new Uint8Array(group.energies.length), distortions);
}

function chooseCheapest(
  group: RowGroupCurve,
  nothing: BitChoice,
  price: number,
  distortions: readonly number[],
): Choice {
  const coded = toChoice(group, chooseBits(group, price, distortions), distortions);
  const costOf = ({ bytes, error }: Choice) => error + price * bytes;
  const all: readonly Choice[] = [nothing, coded, ...(group.others ?? [])];
  return all.reduce((best, each) => (costOf(each) < costOf(best) ? each : best));
}

function chooseBits(
  { rows, energies, directionBytes }: RowGroupCurve,
  price: number,
  distortions: readonly number[],
): Uint8Array {
  return Uint8Array.from(energies, (energy) => {
    let [best, least] = [0, energy * distortions[0]!];
    for (let bits = 1; bits < distortions.length; bits++) {
      const cost = energy * distortions[bits]! + price * ((rows * bits) / 8 + directionBytes);
      if (cost < least) [best, least] = [bits, cost];
    }
    return best;
  });
}

function toChoice(
  group: RowGroupCurve,
  bits: Uint8Array,
  distortions: readonly number[],
): BitChoice {
  let [sum, used, error] = [0, 0, 0];
  bits.forEach((each, k) => {
    sum += each;
    used += each > 0 ? 1 : 0;
    error += group.energies[k]! * distortions[each]!;
  });
  const bytes =
    (group.rows * sum) / 8 + used * group.directionBytes + (used > 0 ? group.groupBytes : 0);
  return { kind: 'bits', bits, bytes, error };
}

/** One bit more for a direction. */
interface Raise {
  readonly group: number;
  readonly direction: number;
  readonly from: number;
  readonly worth: number;
}

/** Single bits, those of most gain for a byte first, and whole groups, while they fit. */
function spendRest(
  groups: readonly RowGroupCurve[],
  start: readonly Choice[],
  budget: number,
  distortions: readonly number[],
): readonly Choice[] {
  const choices = [...start];
  const raises = groups.flatMap((group, i) => listRaises(group, i, start[i]!, distortions));
  raises.sort((a, b) => b.worth - a.worth);
  let left = budget - sumUp(choices).bytes;
  const replace = (i: number, next: Choice): boolean => {
    const bytes = next.bytes - choices[i]!.bytes;
    if (bytes > left || next.error >= choices[i]!.error) return false;
    left -= bytes;
    choices[i] = next;
    return true;
  };
  const raise = ({ group, direction, from }: Raise): boolean => {
    const [now, { rows }] = [choices[group]!, groups[group]!];
    if (rows / 8 > left || !isBits(now) || now.bits[direction] !== from) return false;
    const bits = now.bits.with(direction, from + 1);
    return replace(group, toChoice(groups[group]!, bits, distortions));
  };
  // Again, since the second bit of a direction may come before the first, which pays for its basis.
  while (raises.filter(raise).length > 0);
  groups.forEach(({ others = [] }, i) => others.forEach((other) => replace(i, other)));
  return choices;
}

function listRaises(
  { rows, energies, directionBytes }: RowGroupCurve,
  group: number,
  now: Choice,
  distortions: readonly number[],
): readonly Raise[] {
  if (!isBits(now)) return [];
  return Array.from(energies).flatMap((energy, direction) =>
    distortions.slice(now.bits[direction]! + 1).map((distortion, i): Raise => {
      const from = now.bits[direction]! + i;
      const gain = energy * (distortions[from]! - distortion);
      return { group, direction, from, worth: gain / (rows / 8 + (from > 0 ? 0 : directionBytes)) };
    }),
  );
}

function isBits(choice: Choice): choice is BitChoice {
  return 'bits' in choice;
}

function sumUp(choices: readonly Choice[]): { readonly bytes: number; readonly error: number } {
  const sum = (key: 'bytes' | 'error') => choices.reduce((total, each) => total + each[key], 0);
  return { bytes: sum('bytes'), error: sum('error') };
}

function checkGroups(groups: readonly RowGroupCurve[], budget: number): void {
  groups.forEach(({ rows, energies, directionBytes, groupBytes, others = [] }, i) => {
    const wholes = others.flatMap(({ bytes, error }) => [bytes, error]);
    const numbers = [rows, directionBytes, groupBytes, ...Array.from(energies), ...wholes];
    refuseUnless(
      numbers.find((each) => !(each >= 0 && each < Infinity)),
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
