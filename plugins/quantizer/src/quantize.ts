import { EspalierError } from '@espalier/core';
import type { Matrix, StorageConfig } from '@espalier/compression';
import { decodeRows } from './decode.js';
import { automaticGranularity, forEachStretch, groupingOf, groupValues } from './granularity.js';
import type { Granularity, Grouping, MatrixShape } from './granularity.js';
import { kMeans } from './k-means.js';
import { levelRange, NF4_LEVELS, nearestLevel, roundHalfEven } from './levels.js';
import type { Scheme } from './levels.js';
import { pack } from './packing.js';
import type { Bits } from './packing.js';
import { affineOf } from './ranges.js';
import type { Range } from './ranges.js';
import { codeLayoutOf } from './storage-config.js';
import type { CodeConfig, CodePart } from './storage-config.js';

/** How to quantize one matrix. */
export interface QuantizeOptions {
  /** Default 8; with `codebook: 'nf4'` always 4. */
  readonly bits?: Bits;
  /** Default `symmetric`. */
  readonly scheme?: Scheme;
  /** Which numbers share a scale; default {@link automaticGranularity}. */
  readonly granularity?: Granularity | 'auto';
  /** Default `mse`. */
  readonly range?: Range;
  /** Levels from a table: learned from the matrix, one for all or for each n columns, or NF4. */
  readonly codebook?: false | 'k-means' | 'nf4' | { readonly columns: number };
  /** How much a row's error matters, `[rows]`, for `range: 'mse'`. Default: all alike. */
  readonly rowWeights?: ArrayLike<number>;
  /** What `granularity: 'auto'` tries first; default rows. */
  readonly prefer?: 'row' | 'column';
}

/** A matrix in codes, on the host. */
export interface Quantized {
  readonly config: StorageConfig;
  /** By suffix of the weight's name: packed `codes`, `scale` and `offset` or `codebook`. */
  readonly weights: Readonly<Partial<Record<CodePart, Int32Array | Float32Array>>>;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius); 0 for a matrix of zeros. */
  readonly error: number;
}

/**
 * Quantizes a matrix. See the README for the arithmetic, bit by bit.
 *
 * @throws EspalierError `quantizer/not-finite` naming row and column, `quantizer/empty`.
 * @example
 * const { config, weights, error } = quantize({ data, rows: 10000, columns: 200 }, { bits: 4 });
 * const back = dequantize({ config, weights }, [10000, 200]);
 */
export function quantize(matrix: Matrix, options: QuantizeOptions = {}): Quantized {
  checkFinite(matrix);
  const { codebook = false } = options;
  const coded =
    codebook === 'nf4'
      ? withNormalFloat(matrix, options)
      : codebook
        ? withCodebook(matrix, options)
        : withUniform(matrix, options);
  const { config, codes, ...values } = coded;
  const bits = config.kind === 'nf4' ? 4 : config.bits;
  const weights = { codes: pack(codes, bits), ...values };
  const back = dequantize({ config, weights }, shapeOf(matrix));
  return { config, weights, error: relativeError(matrix.data, back.data) };
}

/** The float32 numbers that codes stand for. */
export function dequantize(
  { config, weights }: Pick<Quantized, 'config' | 'weights'>,
  shape: MatrixShape,
): Matrix {
  const { format, levels } = codeLayoutOf(config, shape);
  const [rows, columns] = shape;
  const data = new Float32Array(rows * columns);
  const values = {
    levels: levels ?? (weights.codebook as Float32Array),
    scale: weights.scale as Float32Array | undefined,
    offset: weights.offset as Float32Array | undefined,
  };
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  decodeRows(data, weights.codes as Int32Array, values, format, all);
  return { data, rows, columns };
}

/** ‖a − b‖ / ‖a‖; 0 where a is 0. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  const { error, norm } = squaredSums(a, b);
  return norm === 0 ? 0 : Math.sqrt(error / norm);
}

/** Squared length of a − b, and of a. */
export function squaredSums(
  a: Float32Array,
  b: Float32Array,
): { readonly error: number; readonly norm: number } {
  let [error, norm] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    norm += a[i]! ** 2;
  }
  return { error, norm };
}

interface Coded {
  readonly config: CodeConfig;
  readonly codes: Uint8Array;
  readonly scale?: Float32Array;
  readonly offset?: Float32Array;
  readonly codebook?: Float32Array;
}

function withUniform(matrix: Matrix, options: QuantizeOptions): Coded {
  const { bits = 8, scheme = 'symmetric', range = 'mse' } = options;
  const granularity = granularityOf(matrix, bits, options);
  const grouping = groupingOf(granularity, shapeOf(matrix));
  const scale = new Float32Array(grouping.count);
  const offset = new Float32Array(grouping.count);
  const weights = rowWeightsOf(matrix, options);
  for (let group = 0; group < grouping.count; group++) {
    const members = {
      values: groupValues(matrix.data, shapeOf(matrix), grouping, group),
      ...(weights && { weights: groupValues(weights, shapeOf(matrix), grouping, group) }),
    };
    ({ scale: scale[group], offset: offset[group] } = affineOf(members, bits, scheme, range));
  }
  const codes = uniformCodes(matrix, { scale, offset, grouping, bits, scheme });
  const config: CodeConfig = { kind: 'uniform', bits, scheme, granularity };
  return { config, codes, scale, ...(scheme === 'asymmetric' && { offset }) };
}

/** How numbers become codes: `round((x − offset) / scale)` within the levels. */
export interface UniformRule {
  readonly scale: Float32Array;
  readonly offset?: Float32Array;
  readonly grouping: Grouping;
  readonly bits: Bits;
  readonly scheme: Scheme;
}

/** The code of every number, row by row. Numbers of a group with scale 0 get the level 0. */
export function uniformCodes(matrix: Matrix, rule: UniformRule): Uint8Array {
  const { scale, offset, grouping, bits, scheme } = rule;
  const [lowest, highest] = levelRange(bits, scheme);
  const { data } = matrix;
  const codes = new Uint8Array(data.length);
  forEachStretch(grouping, shapeOf(matrix), (group, begin, end) => {
    const [step, shift] = [scale[group]!, offset?.[group] ?? 0];
    if (step === 0) return void codes.fill(-lowest, begin, end);
    for (let i = begin; i < end; i++) {
      const level = roundHalfEven(Math.fround(Math.fround(data[i]! - shift) / step));
      codes[i] = Math.min(Math.max(level, lowest), highest) - lowest;
    }
  });
  return codes;
}

function withNormalFloat(matrix: Matrix, options: QuantizeOptions): Coded {
  const granularity = granularityOf(matrix, 4, options);
  const shape = shapeOf(matrix);
  const grouping = groupingOf(granularity, shape);
  const scale = Float32Array.from({ length: grouping.count }, (_, group) =>
    groupValues(matrix.data, shape, grouping, group).reduce((a, x) => Math.max(a, Math.abs(x)), 0),
  );
  const codes = new Uint8Array(matrix.data.length);
  forEachStretch(grouping, shape, (group, begin, end) => {
    const inverse = scale[group]! > 0 ? 1 / scale[group]! : 0;
    for (let i = begin; i < end; i++) {
      codes[i] = nearestLevel(NF4_LEVELS, 0, NF4_LEVELS.length, matrix.data[i]! * inverse);
    }
  });
  return { config: { kind: 'nf4', granularity }, codes, scale };
}

function withCodebook(matrix: Matrix, { bits = 8, codebook }: QuantizeOptions): Coded {
  const columns = typeof codebook === 'object' ? { columns: codebook.columns } : {};
  const config: CodeConfig = { kind: 'codebook', bits, ...columns };
  const shape = shapeOf(matrix);
  const { grouping } = codeLayoutOf(config, shape).format;
  const entries = 2 ** bits;
  const tables = new Float32Array(grouping.count * entries);
  for (let group = 0; group < grouping.count; group++) {
    tables.set(kMeans(groupValues(matrix.data, shape, grouping, group), bits), group * entries);
  }
  const codes = new Uint8Array(matrix.data.length);
  forEachStretch(grouping, shape, (group, begin, end) => {
    for (let i = begin; i < end; i++) {
      codes[i] = nearestLevel(tables, group * entries, entries, matrix.data[i]!);
    }
  });
  return { config, codes, codebook: tables };
}

function granularityOf(
  matrix: Matrix,
  bits: Bits,
  { granularity = 'auto', prefer }: QuantizeOptions,
): Granularity {
  return granularity === 'auto' ? automaticGranularity(shapeOf(matrix), bits, prefer) : granularity;
}

/** A row's weight for each of its numbers. */
function rowWeightsOf(
  { rows, columns }: Matrix,
  { rowWeights }: QuantizeOptions,
): Float32Array | undefined {
  if (!rowWeights) return undefined;
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    weights.fill(rowWeights[row]!, row * columns, (row + 1) * columns);
  }
  return weights;
}

function shapeOf({ rows, columns }: Matrix): MatrixShape {
  return [rows, columns];
}

function checkFinite({ data, columns }: Matrix): void {
  if (data.length === 0) {
    throw new EspalierError('quantizer/empty', { problem: 'a matrix without numbers' });
  }
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new EspalierError('quantizer/not-finite', {
    problem: `the number in row ${Math.floor(at / columns)}, column ${at % columns} is not finite`,
    received: data[at],
    fix: 'Quantize a model whose training has not diverged.',
  });
}
