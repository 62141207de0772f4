import { normalLevels } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { project } from '@espalier/linalg';
import { levelTable } from './coefficients.js';
import { decodeBasis, lengthTable, scaleOf } from './decode.js';
import { computeLayout, RANGES } from './layout.js';
import type { BlockCodesLayout, CodedBlock } from './layout.js';
import type { RowWeights } from './objective.js';
import { toConfig } from './plan.js';
import type { CodesPlan } from './plan.js';
import { packBytes } from './row-bits.js';
import { solveSymmetric } from './solve.js';
import type { Sample } from './survey.js';

/** A symmetric root of the metric of errors, and its inverse. */
export interface Metric {
  readonly root: Float64Array;
  readonly inverse: Float64Array;
}

/** What coding needs of rows that were surveyed. */
export interface Surveyed extends RowWeights {
  readonly sample: Sample;
  /** Squared lengths of rows: `[rows]`. */
  readonly squares: Float64Array;
  readonly metric?: Metric | undefined;
}

/** How the rows of one block become codes and numbers again. */
export interface BlockCoder {
  readonly block: CodedBlock;
  /** `[columns, directions]`: what rows are multiplied with to get their coordinates; none: columns are taken. */
  readonly into?: Matrix;
  /** `[directions, columns]`: what coordinates are multiplied with. */
  readonly back?: Matrix;
  /** What a unit of each coordinate weighs in the metric, squared. */
  readonly units: Float64Array;
  readonly scales: Float32Array;
  /** Levels of each direction, and the bounds between them, both times its scale. */
  readonly bounds: readonly Float64Array[];
  readonly values: readonly Float64Array[];
  /** What codes of lengths stand for, and the grid that they lie on. */
  readonly lengths?: { readonly table: Float32Array; readonly low: number; readonly step: number };
}

/** Coders of all blocks, with the weights that they share. */
export interface Coders {
  readonly layout: BlockCodesLayout;
  readonly blocks: readonly BlockCoder[];
  readonly weights: {
    readonly ranges: Float32Array;
    readonly basis?: Int32Array;
    readonly scales?: Int32Array;
  };
}

/** Rounds bases and scales of a plan as they are stored, and what turns rows into codes by them. */
export async function makeCoders(plan: CodesPlan, surveyed: Surveyed): Promise<Coders> {
  const { columns } = surveyed.sample;
  const layout = computeLayout(toConfig(plan), [surveyed.weights.length, columns]);
  const bytes = roundBasis(plan, layout, surveyed.metric);
  const words = packBytes(bytes);
  const basis = decodeBasis(layout, words);
  const ranges = new Float32Array(RANGES * layout.blocks.length);
  const scaleCodes: number[] = [];
  const blocks: BlockCoder[] = [];
  const samples = splitSample(plan, surveyed);
  const reaches = rangeSquares(plan, surveyed.squares);
  for (const [p, block] of layout.blocks.entries()) {
    const turned = turnRows(block, basis, columns, surveyed.metric);
    const fitted = await fitBlock(block, turned, samples[p]!, reaches[p]!, surveyed);
    ranges.set(fitted.range, p * RANGES);
    scaleCodes.push(...fitted.codes);
    blocks.push(finishCoder(block, turned, fitted.codes, ranges, p));
  }
  return {
    layout,
    blocks,
    weights: {
      ranges,
      ...(words.length > 0 && { basis: words }),
      ...(scaleCodes.length > 0 && { scales: packBytes(Int8Array.from(scaleCodes)) }),
    },
  };
}

/** The rows of the basis as signed bytes: shared ones first, then those of each block. */
function roundBasis(
  { curve: { bases }, choices, shared }: CodesPlan,
  { basisRows, columns }: BlockCodesLayout,
  metric: Metric | undefined,
): Int8Array {
  const common = bases.find(({ kind }) => kind === 'shared')?.directions[0];
  const rows = shared.map((k) => ({ vectors: common!, k }));
  choices.forEach(({ basis, bits }, p) => {
    const { kind, directions } = bases[basis]!;
    if (kind !== 'own') return;
    bits.forEach((each, k) => each > 0 && rows.push({ vectors: directions[p]!, k }));
  });
  const bytes = new Int8Array(basisRows * columns);
  rows.forEach(({ vectors, k }, row) => {
    const direction = Float64Array.from({ length: columns }, (_, j) => vectors[j * columns + k]!);
    const values = metric ? applySymmetric(metric.inverse, direction) : direction;
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, j) => {
      bytes[row * columns + j] = Math.round((127 * value) / largest);
    });
  });
  return bytes;
}

function applySymmetric(matrix: Float64Array, vector: Float64Array): Float64Array {
  const size = vector.length;
  return vector.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += matrix[i * size + j]! * vector[j]!;
    return sum;
  });
}

interface TurnedRows {
  readonly into?: Matrix;
  readonly back?: Matrix;
  readonly units: Float64Array;
}

/** Coordinates that are nearest, in the metric, to a row: of a basis that rounding has left a little askew. */
function turnRows(
  { basis: kind, directions }: CodedBlock,
  basis: Float32Array,
  columns: number,
  metric: Metric | undefined,
): TurnedRows {
  const count = directions.length;
  if (kind === 'none' || count === 0) return { units: new Float64Array(count).fill(1) };
  const back = new Float32Array(count * columns);
  directions.forEach(({ target }, k) => {
    back.set(basis.subarray(target * columns, (target + 1) * columns), k * columns);
  });
  const measured = metric ? multiplyRows(back, metric.root, count, columns) : back;
  const products = multiplyTransposed(measured, measured, count, columns);
  const units = Float64Array.from({ length: count }, (_, k) => products[k * (count + 1)]!);
  const right = Float64Array.from(
    metric ? multiplyRows(measured, metric.root, count, columns) : back,
  );
  solveSymmetric(products, right, count, columns);
  const into = new Float32Array(count * columns);
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < columns; j++) into[j * count + k] = right[k * columns + j]!;
  }
  return {
    into: { data: into, rows: columns, columns: count },
    back: { data: back, rows: count, columns },
    units,
  };
}

function multiplyRows(
  rows: ArrayLike<number>,
  square: Float64Array,
  count: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(count * columns);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < columns; i++) {
      const factor = rows[k * columns + i]!;
      for (let j = 0; j < columns; j++) {
        result[k * columns + j]! += factor * square[i * columns + j]!;
      }
    }
  }
  return result;
}

function multiplyTransposed(
  left: ArrayLike<number>,
  right: ArrayLike<number>,
  count: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < count; k++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += left[i * columns + j]! * right[k * columns + j]!;
      result[i * count + k] = sum;
    }
  }
  return result;
}

/** Sampled rows of each block, by their number in the sample. */
function splitSample({ curve }: CodesPlan, { sample }: Surveyed): readonly Int32Array[] {
  const lists: number[][] = curve.cells.sizes.map(() => []);
  sample.ids.forEach((id, i) => lists[curve.cells.of[id]!]!.push(i));
  return lists.map((list) => Int32Array.from(list));
}

/** Coordinates of rows `[rows, directions]`: products with a basis, or some of the columns. */
export async function takeCoordinates(
  matrix: Matrix,
  select: Int32Array,
  { into }: Pick<BlockCoder, 'into'>,
  { directions }: CodedBlock,
): Promise<Float32Array> {
  const count = directions.length;
  if (count === 0) return new Float32Array(0);
  if (into) return (await project(matrix, into, { select })).data;
  const taken = new Float32Array(select.length * count);
  select.forEach((row, i) => {
    directions.forEach(({ target }, k) => {
      taken[i * count + k] = matrix.data[row * matrix.columns + target]!;
    });
  });
  return taken;
}

interface Fitted {
  readonly codes: readonly number[];
  readonly range: readonly [
    scaleLow: number,
    scaleStep: number,
    lengthLow: number,
    lengthStep: number,
  ];
}

/** Scales by least squares on the sampled rows, and how far lengths reach. */
async function fitBlock(
  block: CodedBlock,
  turned: TurnedRows,
  select: Int32Array,
  reach: { readonly low: number; readonly high: number },
  { sample, weights, squares }: Surveyed,
): Promise<Fitted> {
  const { directions, lengths } = block;
  const count = directions.length;
  if (count === 0) return { codes: [], range: [0, 0, 0, 0] };
  const coordinates = await takeCoordinates(sample, select, turned, block);
  const own = Float64Array.from(select, (i) => {
    const row = sample.ids[i]!;
    return weights[row]! * sample.copies[i]! * (lengths ? squares[row]! : 1);
  });
  if (lengths) divideByLengths(coordinates, select, sample, squares);
  const scales = directions.map(({ bits }, k) => fitScale(coordinates, own, count, k, bits));
  const { codes, low, step } = placeScales(scales);
  if (!lengths) return { codes, range: [low, step, 0, 0] };
  const decoded = codes.map((code) => Math.exp(low + step * code));
  const gains = measureGains(coordinates, directions, decoded, turned.units);
  return { codes, range: [low, step, ...placeLengths(gains, reach, lengths)] };
}

function divideByLengths(
  coordinates: Float32Array,
  select: Int32Array,
  { ids }: Sample,
  squares: Float64Array,
): void {
  const count = coordinates.length / select.length;
  select.forEach((i, at) => {
    const length = Math.sqrt(squares[ids[i]!]!) || 1;
    for (let k = 0; k < count; k++) coordinates[at * count + k]! /= length;
  });
}

/** Rounds of: nearest levels by the scale, best scale for the levels. */
const FITS = 3;

function fitScale(
  coordinates: Float32Array,
  weights: Float64Array,
  count: number,
  k: number,
  bits: number,
): number {
  const rows = coordinates.length / count;
  const levels = levelTable(bits);
  const bounds = findBounds(bits);
  let [energy, mass] = [0, 0];
  for (let i = 0; i < rows; i++) {
    energy += weights[i]! * coordinates[i * count + k]! ** 2;
    mass += weights[i]!;
  }
  let scale = energy > 0 ? Math.sqrt(energy / mass) : 1e-30;
  for (let fit = 0; fit < FITS; fit++) {
    let [products, norm] = [0, 0];
    for (let i = 0; i < rows; i++) {
      const value = coordinates[i * count + k]!;
      const level = levels[findCode(value / scale, bounds)]!;
      products += weights[i]! * value * level;
      norm += weights[i]! * level ** 2;
    }
    if (products > 0) scale = products / norm;
  }
  return scale;
}

/** Half-way between neighbouring levels. */
export function findBounds(bits: number): Float64Array {
  const { levels } = normalLevels(bits);
  return Float64Array.from(
    { length: levels.length - 1 },
    (_, i) => (levels[i]! + levels[i + 1]!) / 2,
  );
}

/** The number of the nearest level: how many bounds lie below. */
export function findCode(value: number, bounds: Float64Array): number {
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bounds[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Scales on a logarithmic grid of 256 from the least to the largest. */
export function placeScales(scales: readonly number[]) {
  const logarithms = scales.map(Math.log);
  const low = Math.fround(Math.min(...logarithms));
  const step = Math.fround((Math.max(...logarithms) - low) / 255);
  const codes = logarithms.map((value) => (step > 0 ? Math.round((value - low) / step) : 0));
  return { low, step, codes: codes.map((code) => Math.max(0, Math.min(255, code))) };
}

/** What decoded rows of length 1 must be multiplied with to be nearest: the factor to a row's length. */
function measureGains(
  coordinates: Float32Array,
  directions: CodedBlock['directions'],
  scales: readonly number[],
  units: Float64Array,
): Float64Array {
  const count = directions.length;
  const tables = directions.map(({ bits }) => ({
    levels: levelTable(bits),
    bounds: findBounds(bits),
  }));
  return Float64Array.from({ length: coordinates.length / count }, (_, i) => {
    let [products, norm] = [0, 0];
    directions.forEach((__, k) => {
      const { levels, bounds } = tables[k]!;
      const value = coordinates[i * count + k]!;
      const decoded = scales[k]! * levels[findCode(value / scales[k]!, bounds)]!;
      products += units[k]! * value * decoded;
      norm += units[k]! * decoded ** 2;
    });
    return products / norm;
  });
}

/** Least and largest squared length of the rows of each block that are not zeros. */
function rangeSquares(
  { curve: { cells } }: CodesPlan,
  squares: Float64Array,
): readonly { readonly low: number; readonly high: number }[] {
  const ranges = cells.sizes.map(() => ({ low: Infinity, high: 0 }));
  squares.forEach((square, row) => {
    if (square === 0) return;
    const range = ranges[cells.of[row]!]!;
    range.low = Math.min(range.low, square);
    range.high = Math.max(range.high, square);
  });
  return ranges;
}

/** The grid of lengths: from the shortest row times the least factor to the longest times the largest. */
function placeLengths(
  gains: Float64Array,
  { low, high }: { readonly low: number; readonly high: number },
  bits: number,
): readonly [low: number, step: number] {
  const logarithms = Array.from(gains, Math.log).filter(Number.isFinite);
  if (logarithms.length === 0 || high === 0) return [0, 0];
  const first = Math.fround(Math.log(low) / 2 + Math.min(...logarithms));
  const last = Math.log(high) / 2 + Math.max(...logarithms);
  return [first, Math.fround((last - first) / (2 ** bits - 2))];
}

function finishCoder(
  block: CodedBlock,
  turned: TurnedRows,
  codes: readonly number[],
  ranges: Float32Array,
  p: number,
): BlockCoder {
  const scales = Float32Array.from(codes, (code) => scaleOf(ranges, p, code));
  const { directions, lengths } = block;
  return {
    block,
    ...turned,
    scales,
    bounds: directions.map(({ bits }, k) => findBounds(bits).map((bound) => bound * scales[k]!)),
    values: directions.map(({ bits }, k) =>
      Float64Array.from(levelTable(bits), (level) => level * scales[k]!),
    ),
    ...(lengths && {
      lengths: {
        table: lengthTable(ranges, p, lengths),
        low: ranges[p * RANGES + 2]!,
        step: ranges[p * RANGES + 3]!,
      },
    }),
  };
}
