import { checkMatrix } from '@espalier/compression';
import type { Matrix, Measure, SizeCost, WorkStore } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import { squareRoot } from '@espalier/linalg';
import { cutByPosition, cutByWeight } from './cells.js';
import type { Cells } from './cells.js';
import { choosePlan } from './choose-plan.js';
import type { CodeTarget } from './choose-plan.js';
import { workInMemory } from './code-words.js';
import type { Surveyed } from './coders.js';
import { listCurves } from './curves.js';
import type { Curve, Division } from './curves.js';
import { encodeRows } from './encode.js';
import type { BlockCodes } from './encode.js';
import { keepSurvey, readSurvey } from './kept-survey.js';
import { readShares, weighRows } from './objective.js';
import type { RowKnowledge } from './objective.js';
import { codeTarget, isOneCodeTarget, ONE_CODE_TARGET, readTarget } from './options.js';
import type { CodeTargetOptions } from './options.js';
import { leastBytes, predictError } from './plan.js';
import type { AllocateBits, CodesPlan, PlanOptions } from './plan.js';
import { sourceOf } from './row-source.js';
import type { RowSource } from './row-source.js';
import { measureLengths, surveyRows } from './survey.js';

/** What {@link codeMatrix} is told, beside the target. */
export interface CodeKnowledge {
  /** How often each row is used, `[rows]`. Without: by rank, as in a text of Zipf's law, the first row most often. */
  readonly counts?: ArrayLike<number> | undefined;
  /** How much the squared error of each row matters, `[rows]`, for the objective `importance`, which is the default then. */
  readonly importance?: ArrayLike<number> | undefined;
  /** Symmetric positive semi-definite `[columns, columns]`: the squared error of a row is `eᵀ M e`. */
  readonly metric?: Float64Array | undefined;
  /** Shares the bytes out among blocks and directions; default `allocateBits` of `@espalier/compression`. */
  readonly allocate?: AllocateBits | undefined;
  /** Called with a stage, and the rows that are done and all of them. */
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

/** Options of {@link codeMatrix}: of `ratio`, `budget` and `maxError` one, or none: a ratio of 8. */
export type CodeMatrixOptions = CodeKnowledge & CodeTargetOptions;

/** A matrix in codes of blocks, with what that costs and loses. */
export interface BlockCodedMatrix extends BlockCodes {
  readonly rows: number;
  readonly columns: number;
  /** Of the weights and of the configuration as JSON. */
  readonly bytes: number;
  /** Bytes in float32 over `bytes`. */
  readonly ratio: number;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius); 0 for a matrix of zeros. */
  readonly error: number;
  /** Root of the objective: 0 where nothing is lost, 1 where nothing is stored. */
  readonly weightedError: number;
  /** The same as it was predicted, before anything was coded. */
  readonly predictedError: number;
  /** ‖A‖². */
  readonly squaredLength: number;
  /** Blocks, and bits a number of each, in words. */
  readonly summary: string;
  /** What other sizes would cost, by prediction; nothing is coded for it. */
  predictFront(ratios?: readonly number[]): readonly SizeCost[];
}

/** Columns above which sums are taken by one division. */
const WIDE = 256;
const RATIOS = [4, 6, 8, 12, 16, 24, 32, 48, 64];

/**
 * Codes one matrix in as few bytes as asked for, so that the error is least by an objective. Rows lie in blocks; a row
 * is coded along the directions of its block, each with 0 to 10 bits a row. Blocks, directions and bits are
 * chosen together from sums of one pass over the rows (reverse water-filling); a second pass makes the codes.
 *
 * @param matrix One row for each word or unit.
 * @throws EspalierError `options/invalid`, `compression/matrix`, `block-codes/counts`, `block-codes/objective`,
 * `block-codes/not-finite`, `block-codes/budget`, `block-codes/error`, `linalg/…`.
 * @see Chen et al. 2018, arXiv 1806.06950, for blocks by frequency; Cover & Thomas, Elements of Information Theory,
 * section 10.3.3, for bits.
 * @example
 * const small = await codeMatrix({ data, rows: 341_479, columns: 100 }, { ratio: 16, objective: 'neighbours' });
 * console.log(small.bytes, small.error);
 * const close = expandCodes(small);
 */
export async function codeMatrix(
  matrix: Matrix,
  options: CodeMatrixOptions = {},
): Promise<BlockCodedMatrix> {
  checkMatrix('codeMatrix', matrix);
  return codeRows(sourceOf(matrix), options);
}

/**
 * {@link codeMatrix} for rows that are read some at a time, three times over, and never all at once: the first time only
 * their lengths are taken. With `source.work`, codes are written there, and a run that was interrupted goes on: after the
 * second time, and between chunks of the third. `work` must be of the same source and options.
 *
 * @throws EspalierError as {@link codeMatrix}.
 * @example
 * const [{ shape, readRows }] = (await openMatrices('vectors.npy')).matrices;
 * const small = await codeRows({ rows: shape[0], columns: shape[1], readRows }, { ratio: 16 });
 */
export async function codeRows(
  source: RowSource,
  { counts, importance, metric, allocate, onProgress, ...given }: CodeMatrixOptions = {},
): Promise<BlockCodedMatrix> {
  const { rows, columns } = source;
  const checked = codeTarget.refine(isOneCodeTarget, ONE_CODE_TARGET);
  const target = parseOptions('codeMatrix', checked, given);
  const knowledge = {
    counts: readNumbers('counts', counts, rows),
    importance: readNumbers('importance', importance, rows),
  };
  return code(source, {
    target: readTarget(target, 4 * rows * columns),
    shares: readShares(target.objective, knowledge),
    knowledge,
    ...(metric && { metric: await squareRoot(metric, columns) }),
    ...(allocate && { allocate }),
    tell: (what) => (done, total) => onProgress?.(what, done, total),
  });
}

interface CodeRequest {
  readonly target: CodeTarget;
  readonly shares: Readonly<Partial<Record<Measure, number>>>;
  readonly knowledge: RowKnowledge;
  readonly metric?: Awaited<ReturnType<typeof squareRoot>>;
  readonly allocate?: AllocateBits;
  readonly tell: (what: string) => (done: number, total: number) => void;
}

async function code(source: RowSource, request: CodeRequest): Promise<BlockCodedMatrix> {
  const { rows, columns, work = workInMemory() } = source;
  checkBytes(source, request.target, request.metric !== undefined);
  // Sums are let go of before rows are coded: of wide rows they take more than everything else.
  const { plan, coders, surveyed, front } = await survey(source, request, work).then((found) =>
    plans(found, request, columns),
  );
  const { cells } = plan.curve;
  const tell = request.tell('rows coded');
  const { errors, ...coded } = await encodeRows(source, coders, cells, surveyed, work, tell);
  return {
    ...coded,
    rows,
    columns,
    bytes: plan.bytes,
    ratio: (4 * rows * columns) / plan.bytes,
    error: takeRoot(errors.plain, errors.plainWhole),
    weightedError: takeRoot(errors.weighted, errors.weightedWhole),
    predictedError: takeRoot(plan.error, errors.weightedWhole),
    squaredLength: errors.plainWhole,
    summary: describe(plan),
    predictFront: front,
  };
}

/** What the first two sweeps tell; sums are only needed for planning. */
interface Found {
  readonly sums: readonly Division[];
  readonly surveyed: Surveyed;
}

async function survey(
  source: RowSource,
  { shares, knowledge, tell, metric }: CodeRequest,
  work: WorkStore,
): Promise<Found> {
  const kept = await readSurvey(work, source);
  const squares = kept?.squares ?? (await measureLengths(source, tell('rows measured')));
  const weighed = weighRows(squares, shares, knowledge);
  const divisions = divideRows(source, shares, knowledge);
  const { weights } = weighed;
  const found =
    kept?.survey(divisions) ??
    (await surveyRows(source, weights, divisions, tell('rows surveyed')));
  if (!kept) await keepSurvey(work, squares, found);
  const sums = divisions.map((cells, d) => ({ cells, grams: found.grams[d]! }));
  return { sums, surveyed: { sample: found.sample, ...weighed, squares, metric } };
}

async function plans(
  { sums, surveyed }: Found,
  { target, allocate, metric, tell }: CodeRequest,
  columns: number,
) {
  tell('planning')(0, 1);
  const { squares, weights } = surveyed;
  const curves = await listCurves(sums, columns, metric?.root);
  const planning = { allocate, squares, weights };
  const chosen = await choosePlan(curves, target, surveyed, planning);
  tell('planning')(1, 1);
  const dense = 4 * squares.length * columns;
  const front = (ratios = RATIOS) => predictFront(curves, dense, ratios, planning);
  return { ...chosen, surveyed, front };
}

/** Refuses a size that no codes keep, before anything is read. */
function checkBytes({ rows, columns }: RowSource, target: CodeTarget, hasMetric: boolean): void {
  const least = leastBytes(rows, columns, hasMetric);
  if ('error' in target || target.bytes >= least) return;
  const most = Math.floor((400 * rows * columns) / least) / 100;
  throw new EspalierError('block-codes/budget', {
    problem: `codes of the matrix take ${least} bytes at least (one bit a row), so the largest possible ratio is ${most}`,
    received: `${Math.floor(target.bytes)} bytes`,
    fix: 'Allow more bytes or a lower ratio.',
    details: { leastBytes: least, largestRatio: most },
  });
}

function predictFront(
  curves: readonly Curve[],
  dense: number,
  ratios: readonly number[],
  planning: PlanOptions,
): readonly SizeCost[] {
  return ratios.flatMap((ratio) => {
    const best = predictError(curves, dense / ratio, planning);
    return best ? [{ ratio, bytes: best.bytes, error: Math.sqrt(best.error) }] : [];
  });
}

function readNumbers(
  what: string,
  given: ArrayLike<number> | undefined,
  rows: number,
): Float64Array | undefined {
  if (!given) return undefined;
  const numbers = Float64Array.from(given);
  const bad = numbers.findIndex((each) => !(each >= 0 && each < Infinity));
  if (numbers.length === rows && bad < 0) return numbers;
  throw new EspalierError('block-codes/counts', {
    problem:
      numbers.length === rows
        ? `${what} of row ${bad} is negative or not finite`
        : `there are ${numbers.length} numbers in ${what}, and the matrix has ${rows} rows`,
    received: bad < 0 ? numbers.length : numbers[bad],
    fix: 'Give one number for each row; 0 for rows that do not count.',
  });
}

/** Divisions into groups to choose from: by weight where it differs, and in the order of rows. */
function divideRows(
  { rows, columns }: RowSource,
  shares: CodeRequest['shares'],
  { counts, importance }: RowKnowledge,
): readonly Cells[] {
  const key = shares.importance ? importance : shares.counts ? counts : undefined;
  if (!key) return [cutByPosition(rows)];
  // Sums over long rows take most of the time: one division of them is enough.
  return columns > WIDE ? [cutByWeight(key)] : [cutByWeight(key), cutByPosition(rows)];
}

function takeRoot(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.sqrt(part / whole);
}

function describe({ blocks, choices }: CodesPlan): string {
  const list = blocks.map(({ rows, basis }, p) => {
    const { bits } = choices[p]!;
    const mean = bits.reduce((sum, each) => sum + each, 0) / bits.length;
    return `${rows}×${mean.toFixed(1)}${basis === 'own' ? '' : basis[0]}`;
  });
  const count = blocks.length === 1 ? '1 block' : `${blocks.length} blocks`;
  return `${count}, rows×bits ${list.join(' ')}`;
}
