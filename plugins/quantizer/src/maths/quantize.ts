import { checkMatrix, relativeError } from '@espalier/compression';
import type { Matrix, MatrixShape, StorageConfig } from '@espalier/compression';
import { computeCodeLayout } from '../storage/storage-config.js';
import type { CodeConfig, CodePart, FakeConfig } from '../storage/storage-config.js';
import { decodeVectorMatrix } from '../vectors/decode-matrix.js';
import { isVectorKind } from '../vectors/layout.js';
import type { VectorPart } from '../vectors/layout.js';
import { checkBits, checkError, checkFinite } from './check.js';
import { decodeRows } from './decode.js';
import { uniformCodes, encodeCodebook, encodeNormalFloat, encodeUniform } from './encode.js';
import type { EncodedMatrix } from './encode.js';
import { SMALLEST_STEP } from './fake-quantize.js';
import { computeGrouping, getShape } from './granularity.js';
import type { Granularity } from './granularity.js';
import type { Scheme } from './levels.js';
import { pack } from './packing.js';
import type { Bits } from './packing.js';
import type { Range } from './ranges.js';

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
  readonly config: CodeConfig;
  /** By suffix of the weight's name: packed `codes`, `scale` and `offset` or `codebook`. */
  readonly weights: Readonly<Partial<Record<CodePart, Int32Array | Float32Array>>>;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius); 0 for a matrix of zeros. */
  readonly error: number;
}

/**
 * Quantizes a matrix. See the README for the arithmetic, bit by bit.
 *
 * @throws EspalierError `quantizer/not-finite` naming row and column, `quantizer/empty`, `quantizer/bits`,
 * `quantizer/too-large`, `compression/matrix`.
 * @example
 * const { config, weights, error } = quantize({ data, rows: 10000, columns: 200 }, { bits: 4 });
 * const back = dequantize({ config, weights }, [10000, 200]);
 */
export function quantize(matrix: Matrix, options: QuantizeOptions = {}): Quantized {
  checkMatrix('quantize', matrix);
  checkBits(options);
  checkFinite(matrix);
  const { codebook = false } = options;
  if (codebook === 'nf4') return packMatrix(matrix, encodeNormalFloat(matrix, options));
  return packMatrix(
    matrix,
    codebook ? encodeCodebook(matrix, options) : encodeUniform(matrix, options),
  );
}

/**
 * The codes of a matrix after quantization-aware training, with its steps `[groups]` for scales: they stand for
 * exactly the numbers that the layer computed with.
 *
 * @throws EspalierError as {@link quantize}.
 */
export function quantizeWithSteps(
  matrix: Matrix,
  { bits, granularity }: FakeConfig,
  steps: Float32Array,
): Quantized {
  checkFinite(matrix);
  const config = { kind: 'uniform', bits, scheme: 'symmetric', granularity } as const;
  const scale = steps.map((step) => Math.max(Math.abs(step), SMALLEST_STEP));
  const grouping = computeGrouping(granularity, getShape(matrix));
  const codes = uniformCodes(matrix, { ...config, scale, grouping });
  return packMatrix(matrix, { config, codes, scale });
}

function packMatrix(matrix: Matrix, { config, codes, ...values }: EncodedMatrix): Quantized {
  const bits = config.kind === 'nf4' ? 4 : config.bits;
  const weights = { codes: pack(codes, bits), ...values };
  const back = dequantize({ config, weights }, getShape(matrix));
  return { config, weights, error: checkError(relativeError(matrix, back)) };
}

/** The parts of a matrix in codes, by suffix of the weight's name. */
export interface CodedMatrix {
  readonly config: StorageConfig;
  readonly weights: Readonly<Partial<Record<CodePart | VectorPart, Int32Array | Float32Array>>>;
}

/**
 * The float32 numbers that codes stand for: those of {@link quantize}, `quantizeProducts` or
 * `quantizeResiduals`.
 *
 * @example
 * const { data } = dequantize(await quantizeProducts(matrix, { parts: 25 }), [10000, 200]);
 */
export function dequantize({ config, weights }: CodedMatrix, shape: MatrixShape): Matrix {
  if (isVectorKind(config.kind)) return decodeVectorMatrix(config, weights, shape);
  const { format, levels } = computeCodeLayout(config, shape);
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
