import { matches } from '@espalier/core';
import { z } from 'zod';
import { granularity } from './maths/granularity.js';
import { range } from './maths/ranges.js';
import { bits, scheme } from './storage/storage-config.js';

const codebook = z.union([
  z.literal(false),
  z.enum(['k-means', 'nf4']),
  z.strictObject({ columns: z.int().positive() }),
  z.strictObject({ parts: z.int().positive(), rotate: z.boolean().default(false) }),
  z.strictObject({ stages: z.int().positive() }),
]);

const perMatrix = z.strictObject({
  bits,
  scheme,
  granularity: z.union([z.literal('auto'), granularity]),
  range,
  codebook,
});
const { shape } = perMatrix;

const allOptions = z.strictObject({
  /** Names or patterns (`*` stands for any text), or `auto`: every layer that is large enough. */
  layers: z.union([z.literal('auto'), z.array(z.string().min(1)).min(1)]).default('auto'),
  /** With `auto`: the least numbers that the matrices of a layer must have. */
  minSize: z.int().nonnegative().default(1024),
  /** Bits of a code: 8, 4, 3 or 2. */
  bits: shape.bits.default(8),
  /** Levels around zero, or from an offset. */
  scheme: shape.scheme.default('symmetric'),
  /** Which numbers share a scale. */
  granularity: shape.granularity.default('auto'),
  /** How the range of the levels is chosen. */
  range: shape.range.default('mse'),
  /**
   * Tables of values in place of evenly spaced levels; `parts`: of pieces of rows (product quantization),
   * after a learned rotation with `rotate`; `stages`: of whole rows that are added up (residual
   * quantization).
   */
  codebook: shape.codebook.default(false),
  /**
   * Quantization-aware training: `'lsq'` learns the steps (Esser et al. 2020), `'ste'` keeps them; both use
   * the straight-through estimator for the numbers. `false`: none.
   */
  qat: z.union([z.literal(false), z.enum(['lsq', 'ste'])]).default(false),
  /** Other options by pattern of `<matrix>` or `<layer>/<matrix>`; `false` leaves a matrix out. */
  matrices: z.record(z.string(), z.union([z.literal(false), perMatrix.partial()])).default({}),
});

/** The options of `quantizer`, as data. */
export const quantizerOptions = allOptions.superRefine(({ qat, matrices, ...all }, issues) => {
  const overrides = Object.entries(matrices).map(([key, of]) => ({ path: ['matrices', key], of }));
  for (const { path, of } of [{ path: [], of: all }, ...overrides]) {
    const option = qat && untrainable(of);
    const message = 'quantization-aware training needs uniform symmetric codes';
    if (option) issues.addIssue({ code: 'custom', path: [...path, option], message });
    const unused = findUnused(of);
    const why = 'codebooks of parts or stages have no scales';
    if (unused) issues.addIssue({ code: 'custom', path: [...path, unused], message: why });
  }
});

/** An option of scales that is set beside a codebook of vectors. */
function findUnused(
  of: Partial<MatrixOptions> | false,
): 'granularity' | 'range' | 'scheme' | undefined {
  if (!of || !isVectorCodebook(of.codebook)) return undefined;
  const { scheme = 'symmetric', granularity = 'auto', range = 'mse' } = of;
  if (scheme !== 'symmetric') return 'scheme';
  if (granularity !== 'auto') return 'granularity';
  return range === 'mse' ? undefined : 'range';
}

function untrainable(of: Partial<MatrixOptions> | false): 'codebook' | 'scheme' | undefined {
  if (of && of.codebook) return 'codebook';
  return of && of.scheme === 'asymmetric' ? 'scheme' : undefined;
}

/** Options of `quantizer`. */
export type QuantizerOptions = z.input<typeof quantizerOptions>;
export type ParsedOptions = z.output<typeof quantizerOptions>;

/** How one matrix is quantized. */
export type MatrixOptions = z.output<typeof perMatrix>;

/** A codebook of vectors: of pieces of rows, or of whole rows. */
export type VectorCodebook =
  { readonly parts: number; readonly rotate: boolean } | { readonly stages: number };

/** Whether a codebook is one of vectors. */
export function isVectorCodebook(of: MatrixOptions['codebook'] | undefined): of is VectorCodebook {
  return typeof of === 'object' && !('columns' in of);
}

/**
 * The options of one matrix: those of the plugin, overridden by entries of `matrices` whose pattern
 * (`*` stands for anything) fits its name or `<layer>/<name>`, by any name of the layer, the longest pattern last; `undefined`
 * where the last word is `false`.
 */
export function resolveOptions(
  { matrices, bits, scheme, granularity, range, codebook }: ParsedOptions,
  layerNames: readonly string[],
  matrix: string,
): MatrixOptions | undefined {
  const names = [matrix, ...layerNames.map((layer) => `${layer}/${matrix}`)];
  const fitting = Object.entries(matrices)
    .filter(([pattern]) => names.some((name) => matches(pattern, name)))
    .sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1));
  if (fitting.at(-1)?.[1] === false) return undefined;
  const own = { bits, scheme, granularity, range, codebook };
  return Object.assign(own, ...fitting.map(([, override]) => override || {}));
}
