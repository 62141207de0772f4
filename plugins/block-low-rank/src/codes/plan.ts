import { allocateBits } from '@espalier/compression';
import type { BitAllocation, BitAllocator, BitChoice, RowGroup } from '@espalier/compression';
import { DISTORTIONS } from './codebooks.js';
import type { Curve } from './curves.js';
import { computeLayout, RANGES } from './layout.js';
import type { BlockCodesConfig, BlockConfig } from './layout.js';
import { countWords } from './row-bits.js';

/** Shares bytes out among blocks and their directions: `allocateBits`, or a rule of yours. */
export type AllocateBits = BitAllocator['allocate'];

/** What planning starts from, beside the curves. */
export interface PlanOptions {
  readonly allocate?: AllocateBits | undefined;
  /** Squared lengths of rows, and what their squared errors weigh, `[rows]`. */
  readonly squares: Float64Array;
  readonly weights: Float64Array;
}

/** A choice of blocks, bases and bits, before anything is coded. */
export interface CodesPlan {
  readonly curve: Curve;
  readonly blocks: readonly BlockConfig[];
  /** Of each block: the number of its basis in `curve`, and bits by direction of it. */
  readonly choices: readonly BitChoice[];
  /** Directions of the shared basis that any block uses, rising. */
  readonly shared: readonly number[];
  readonly mapped: boolean;
  /** Of all weights and of the configuration. */
  readonly bytes: number;
  /** Weighted squared error, predicted. */
  readonly error: number;
}

/** Bits of lengths that are tried where lengths have codes of their own. */
const LENGTHS = [4, 6];
/** Ways to code blocks that are tried with lengths: the best without. */
const TRIED = 3;

/**
 * The plans of least predicted error within a budget: one without codes of lengths, and one for each number of bits of
 * them, whose worth is only told by coding.
 *
 * @returns none where nothing fits.
 */
export function planCodes(
  curves: readonly Curve[],
  budget: number,
  options: PlanOptions,
): readonly CodesPlan[] {
  const plain = curves.flatMap((curve) => planCurve(curve, budget, 0, options) ?? []);
  plain.sort((a, b) => a.error - b.error);
  const withLengths = LENGTHS.flatMap((lengths) => {
    const plans = plain
      .slice(0, TRIED)
      .flatMap(({ curve }) => planCurve(curve, budget, lengths, options) ?? []);
    return plans.sort((a, b) => a.error - b.error).slice(0, 1);
  });
  return [...plain.slice(0, 1), ...withLengths];
}

/** Bytes of the smallest codes that are any: one bit a row, along one direction. */
export function leastBytes(rows: number, columns: number, hasMetric: boolean): number {
  const blocks = countBlockBytes(1, columns);
  return Math.ceil(blocks + rows / 8 + 1 + (hasMetric ? columns : 0));
}

/** The least predicted error within a budget, and its bytes; none where nothing fits. */
export function predictError(
  curves: readonly Curve[],
  budget: number,
  options: PlanOptions,
): Pick<CodesPlan, 'bytes' | 'error'> | undefined {
  const plans = curves.flatMap((curve) => planCurve(curve, budget, 0, options) ?? []);
  return plans.length === 0 ? undefined : plans.reduce((a, b) => (b.error < a.error ? b : a));
}

function planCurve(
  curve: Curve,
  budget: number,
  lengths: number,
  options: PlanOptions,
): CodesPlan | undefined {
  const { allocate = allocateBits } = options;
  const spent = lengths === 0 ? undefined : measureLengthErrors(curve, lengths, options);
  const groups = listGroups(curve, lengths);
  const shares = curve.bases.some(({ kind }) => kind === 'shared');
  // What all choices have in common depends on them: which shared directions are used, how long the configuration is.
  let fixed = countFixed(curve, shares ? countColumns(curve) : 0);
  let plan: CodesPlan | undefined;
  for (let round = 0; round < ROUNDS && fixed <= budget; round++) {
    const allocation = allocate(groups, budget - fixed, { distortions: DISTORTIONS });
    const next = finishPlan(curve, allocation, lengths, spent);
    if (next.bytes <= budget && (!plan || next.error < plan.error)) plan = next;
    else if (plan) break;
    fixed = Math.ceil(next.bytes - allocation.bytes);
  }
  return plan;
}

/** Rounds in which what is left of a budget is spent. */
const ROUNDS = 3;

function countColumns({ bases }: Curve): number {
  return bases[0]!.energies[0]!.length;
}

function listGroups({ cells, bases }: Curve, lengths: number): readonly RowGroup[] {
  return cells.sizes.map((rows, p) => ({
    rows,
    bases: bases.map(({ kind, energies }) => {
      const own = kind === 'own' ? energies[p]!.length : 0;
      return {
        energies: energies[p]!,
        directionBytes: own + 1,
        groupBytes: (rows * lengths) / 8,
      };
    }),
  }));
}

/** Bytes that do not depend on the choice of bits, at most. */
function countFixed(curve: Curve, shared: number): number {
  const { cells } = curve;
  const columns = countColumns(curve);
  const blocks = cells.sizes.length;
  const map = cells.inOrder || blocks === 1 ? 0 : countWords(cells.of.length, mapBits(blocks));
  return 4 * map + shared * columns + countBlockBytes(blocks, columns);
}

/** Bytes of the configuration and of ranges, and of the last word of each part. */
function countBlockBytes(blocks: number, columns: number): number {
  return blocks * (columns + BLOCK_TEXT + 4 * RANGES + 4) + TEXT + 12;
}

/** Characters of a block in the configuration, beside its digits; and of the rest. */
const [BLOCK_TEXT, TEXT] = [60, 80];

function mapBits(blocks: number): number {
  return Math.ceil(Math.log2(blocks));
}

function finishPlan(
  curve: Curve,
  { choices, error }: BitAllocation,
  lengths: number,
  spent: readonly number[] | undefined,
): CodesPlan {
  const { cells, bases } = curve;
  const shared = listShared(curve, choices);
  const blocks = choices.map(({ basis, bits }, p): BlockConfig => {
    const { kind } = bases[basis]!;
    const digits = writeDigits(bits, kind, shared);
    const hasLengths = lengths > 0 && digits.length > 0;
    return { rows: cells.sizes[p]!, bits: digits, basis: kind, ...(hasLengths && { lengths }) };
  });
  const mapped = !cells.inOrder && blocks.length > 1;
  const ofLengths = blocks.reduce((sum, block, p) => sum + (block.lengths ? spent![p]! : 0), 0);
  const config = toConfig({ blocks, shared, mapped });
  const bytes = countBytes(config, countColumns(curve)) + JSON.stringify(config).length;
  return { curve, blocks, choices, shared, mapped, bytes, error: error + ofLengths };
}

/** Directions of the shared basis that any block uses, rising. */
function listShared({ bases }: Curve, choices: readonly BitChoice[]): readonly number[] {
  const used = new Set<number>();
  for (const { basis, bits } of choices) {
    if (bases[basis]!.kind === 'shared') bits.forEach((each, k) => each > 0 && used.add(k));
  }
  return [...used].sort((a, b) => a - b);
}

/** The configuration of a plan. */
export function toConfig({
  blocks,
  shared,
  mapped,
}: Pick<CodesPlan, 'blocks' | 'mapped' | 'shared'>): BlockCodesConfig {
  return {
    kind: 'block-codes',
    blocks: [...blocks],
    ...(shared.length > 0 && { shared: shared.length }),
    ...(mapped && { mapped }),
  };
}

function countBytes(config: BlockCodesConfig, columns: number): number {
  const rows = config.blocks.reduce((sum, block) => sum + block.rows, 0);
  const { parts } = computeLayout(config, [rows, columns]);
  return 4 * Object.values(parts).reduce((sum, length) => sum + length, 0);
}

/** A digit for each direction: of an own basis for those with bits, of others up to the last with bits. */
function writeDigits(
  bits: Uint8Array,
  basis: BlockConfig['basis'],
  shared: readonly number[],
): string {
  const listed = {
    own: () => bits.filter((each) => each > 0),
    shared: () => Uint8Array.from(shared, (k) => bits[k]!),
    none: () => bits,
  }[basis]();
  return Array.from(listed, (each) => each.toString(16))
    .join('')
    .replace(/0+$/, '');
}

/** What rounding a row's length loses: a twelfth of the square of a step of its logarithm. */
function measureLengthErrors(
  { cells }: Curve,
  lengths: number,
  { squares, weights }: PlanOptions,
): readonly number[] {
  const ranges = cells.sizes.map(() => ({ low: Infinity, high: 0, sum: 0 }));
  squares.forEach((square, row) => {
    const range = ranges[cells.of[row]!]!;
    if (square === 0) return;
    range.low = Math.min(range.low, square);
    range.high = Math.max(range.high, square);
    range.sum += weights[row]! * square;
  });
  return ranges.map(({ low, high, sum }) => {
    if (high === 0) return 0;
    const step = Math.log(high / low) / 2 / (2 ** lengths - 2);
    return (sum * step ** 2) / 12;
  });
}
