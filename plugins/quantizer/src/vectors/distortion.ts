import type { Matrix } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { getShape } from '../maths/granularity.js';
import { pack } from '../maths/packing.js';
import { dequantize, quantize } from '../maths/quantize.js';
import type { CodedMatrix, QuantizeOptions } from '../maths/quantize.js';
import { searchBeam } from './beam-search.js';
import { encodeParts } from './encode-parts.js';
import { computeVectorLayout } from './layout.js';
import { quantizeProducts } from './products.js';
import type { ProductOptions } from './products.js';
import { quantizeResiduals } from './residuals.js';
import type { ResidualOptions } from './residuals.js';
import { pickRows, sampleRows } from './sample-rows.js';

/** Rows for each entry that the final codebooks are learned from, at most. */
const ROWS_EACH = 256;

/** What codes to measure: those of vectors, or of single numbers. */
export type Codec =
  | Pick<ProductOptions, 'bits' | 'parts' | 'rotate'>
  | Pick<ResidualOptions, 'beam' | 'bits' | 'rounds' | 'stages'>
  | QuantizeOptions;

/** Options of {@link measureDistortion}. */
export interface DistortionOptions {
  /** Rows looked at, at most; default 48 for each entry of a codebook, and at least 4096. */
  readonly sampleSize?: number | undefined;
  /** How much a row's error matters, `[rows]`. Default: all alike. */
  readonly rowWeights?: ArrayLike<number> | undefined;
  /** Seed of all draws; default 0. */
  readonly seed?: number | undefined;
}

/** Squared errors of rows, estimated for the whole matrix. */
export interface Distortion {
  /** The mean of `‖a − ã‖²` over all rows. */
  readonly plain: number;
  /** `Σ w ‖a − ã‖² / Σ w`; the same without weights. */
  readonly weighted: number;
  /** Standard errors of the two, as a share of them; 0 where all rows were coded. */
  readonly deviation: { readonly plain: number; readonly weighted: number };
  /** Rows that were coded. */
  readonly rows: number;
}

/**
 * The error that a matrix would have in these codes, from a sample of its rows. Codebooks are learned from two
 * thirds of the sample and tried on the rest. What they fit too well there, they fit too badly here, by
 * the same amount; both shrink with the rows to learn from, which gives the error with as many rows
 * as `quantizeProducts` learns from.
 *
 * @throws EspalierError as {@link quantizeProducts}, {@link quantizeResiduals} and {@link quantize}.
 * @example
 * const { plain } = await measureDistortion(block, { parts: 25 });
 * const { weighted } = await measureDistortion(block, { bits: 4 }, { rowWeights: counts });
 */
export async function measureDistortion(
  matrix: Matrix,
  codec: Codec,
  { rowWeights, seed = 0, ...options }: DistortionOptions = {},
): Promise<Distortion> {
  const size = 2 ** (codec.bits ?? 8);
  const { sampleSize = Math.max(4096, 48 * size) } = options;
  const sample = sampleRows(matrix, sampleSize, keyedRng(seed, 'distortion'), rowWeights);
  const { matrix: rows, copies, weights = copies } = sample;
  const split = splitSample(copies, isVectorCodec(codec));
  const coded = await encode(rows, split.learned, weights, { codec, seed });
  const errors = new Float64Array(rows.rows);
  writeErrors(errors, rows, split.learned, coded);
  if (split.unseen.length > 0) {
    const unseen = pickRows(rows, split.unseen);
    writeErrors(errors, rows, split.unseen, await encodeAlike(unseen, coded, codec));
  }
  const full = Math.min(matrix.rows, ROWS_EACH * size);
  const rate = (split.learned.length / full) * (1 - (2 * full) / matrix.rows);
  const plain = estimate(errors, copies, copies, split, rate);
  const weighted = estimate(errors, weights, copies, split, rate);
  return {
    plain: plain.mean,
    weighted: weighted.mean,
    deviation: { plain: plain.deviation, weighted: weighted.deviation },
    rows: rows.rows,
  };
}

/** Rows of a sample by what is done with them. */
interface Split {
  /** Those that stand for themselves only: codebooks are always learned from them. */
  readonly certain: Int32Array;
  /** Others that codebooks are learned from. */
  readonly seen: Int32Array;
  /** Those that are only coded. */
  readonly unseen: Int32Array;
  /** `certain` and `seen`, in the order of the sample. */
  readonly learned: Int32Array;
}

function splitSample(copies: Float64Array, tryOthers: boolean): Split {
  const all = Int32Array.from(copies.keys());
  const others = all.filter((i) => copies[i] !== 1);
  const seen = tryOthers ? others.subarray(0, Math.ceil((2 * others.length) / 3)) : others;
  const unseen = others.subarray(seen.length);
  const kept = new Set(unseen);
  return {
    certain: all.filter((i) => copies[i] === 1),
    seen,
    unseen,
    learned: all.filter((i) => !kept.has(i)),
  };
}

function isVectorCodec(codec: Codec): boolean {
  return 'parts' in codec || 'stages' in codec;
}

/**
 * The mean error of all rows by weights, and its standard error as a share of it.
 *
 * @param rate How much of the difference between seen and unseen rows stays, by its sign.
 */
function estimate(
  errors: Float64Array,
  weights: Float64Array,
  copies: Float64Array,
  { certain, seen, unseen }: Split,
  rate: number,
) {
  const [sure, inside, outside] = [certain, seen, unseen].map((rows) =>
    averageBy(errors, weights, copies, rows),
  ) as [Average, Average, Average];
  const tried = unseen.length > 0 ? outside : inside;
  const middle = (inside.mean + tried.mean) / 2;
  const others = middle + ((tried.mean - inside.mean) / 2) * rate;
  const share = inside.total + outside.total;
  const total = sure.total + share;
  const mean = (sure.mean * sure.total + others * share) / total;
  const spread =
    unseen.length > 0
      ? Math.sqrt(inside.variance + tried.variance) / 2
      : Math.sqrt(inside.variance);
  return { mean, deviation: mean === 0 ? 0 : (spread * share) / total / mean };
}

async function encode(
  sample: Matrix,
  learned: Int32Array,
  weights: Float64Array,
  { codec, seed }: { readonly codec: Codec; readonly seed: number },
): Promise<CodedMatrix> {
  const rows = pickRows(sample, learned);
  const rowWeights = Float64Array.from(learned, (i) => weights[i]!);
  const request = { rowWeights, seed, sampleSize: rows.rows };
  if ('parts' in codec) return await quantizeProducts(rows, { ...codec, ...request });
  if ('stages' in codec) return await quantizeResiduals(rows, { ...codec, ...request });
  return quantize(rows, { ...codec, rowWeights });
}

/** Other rows with the codebooks that there are. */
async function encodeAlike(
  rows: Matrix,
  { config, weights }: CodedMatrix,
  codec: Codec,
): Promise<CodedMatrix> {
  const { format } = computeVectorLayout(config, getShape(rows));
  const { bits, columns, pieces } = format;
  const codebook = weights.codebook as Float32Array;
  const data = weights.rotation as Float32Array | undefined;
  const rotation = data && { data, rows: columns, columns };
  const tables = { codebook, stages: pieces.length, size: 2 ** bits, columns };
  const beam = ('beam' in codec && codec.beam) || 5;
  const codes =
    config.kind === 'residual'
      ? await searchBeam(rows, tables, beam)
      : (await encodeParts(rows, { codebook, rotation }, format)).codes;
  return { config, weights: { ...weights, codes: pack(codes, bits) } };
}

/** ‖a − ã‖² of some rows of the sample. */
function writeErrors(
  target: Float64Array,
  { data, columns }: Matrix,
  rows: Int32Array,
  coded: CodedMatrix,
): void {
  const back = dequantize(coded, [rows.length, columns]).data;
  rows.forEach((row, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) {
      sum += (data[row * columns + j]! - back[i * columns + j]!) ** 2;
    }
    target[row] = sum;
  });
}

interface Average {
  readonly mean: number;
  /** The sum of the weights. */
  readonly total: number;
  /** Of the mean, by which rows were drawn. */
  readonly variance: number;
}

function averageBy(
  errors: Float64Array,
  weights: Float64Array,
  copies: Float64Array,
  rows: Int32Array,
): Average {
  let [sum, total, squares] = [0, 0, 0];
  for (const row of rows) {
    sum += weights[row]! * errors[row]!;
    total += weights[row]!;
  }
  const mean = total > 0 ? sum / total : 0;
  for (const row of rows) {
    squares += (1 - 1 / copies[row]!) * (weights[row]! * (errors[row]! - mean)) ** 2;
  }
  return { mean, total, variance: total > 0 ? squares / total ** 2 : 0 };
}
