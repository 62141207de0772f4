import { definePlugin, EspalierError } from '@espalier/core';
import type { ModelGraph } from '@espalier/core';
import type { CompressionDetail, Matrix, StorageConfig } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import { optionsOf, quantizerOptions } from './options.js';
import type { ParsedOptions } from './options.js';
import { chosenPlaces, nothing } from './places.js';
import type { Place } from './places.js';
import { accountOf, hostBytes, putInPlace, tensorsOf } from './put-in-place.js';
import type { HostWeight, Stored } from './put-in-place.js';
import { dequantize, quantize, squaredSums } from './quantize.js';
import type { Quantized } from './quantize.js';

/**
 * Keeps matrices in codes of 8, 4, 3 or 2 bits: of Dense, Conv2D and Embedding layers, which become
 * `QuantizedDense`, …, and of layers with storages, such as low-rank ones. `session.transform()` does
 * it; the codes are frozen, all else trains on. A matrix that would not get smaller stays as it is.
 *
 * @throws EspalierError from the transform: `quantizer/…`.
 * @example
 * const session = await createSession({ …, plugins: [quantizer({ bits: 4, granularity: { group: 64 } })] });
 * await session.fit({ epochs: 10 });
 * await session.transform({ plugins: ['quantizer'] });
 * const account = compressionAccount(session.inspect().edits);
 */
export const quantizer = definePlugin({
  id: 'quantizer',
  version: '0.1.0',
  options: quantizerOptions,
  effects: { structure: 'transform' },
  order: { after: ['block-low-rank'], optional: ['block-low-rank'] },
  stateless: true,
  apply(ctx, options) {
    ctx.hooks.transform.tap(async () => {
      const { graph } = ctx.model;
      const stored = await store(graph, options);
      const tensors = tensorsOf(stored);
      try {
        const detail: CompressionDetail = { compression: accountOf(graph, stored) };
        ctx.edit((before) => putInPlace(before, stored, tensors), detail);
      } finally {
        tf.dispose(tensors);
      }
    });
  },
});

/** Every chosen matrix in its new storage, those left out that would not get smaller. */
async function store(graph: ModelGraph, options: ParsedOptions): Promise<readonly Stored[]> {
  const stored: Stored[] = [];
  for (const place of chosenPlaces(graph, options)) {
    const result = await storeOne(graph, place, options);
    if (result) stored.push(result);
  }
  if (stored.length > 0) return stored;
  throw nothing('the matrices would not get smaller, or are excepted', graph);
}

async function storeOne(
  { weights }: ModelGraph,
  place: Place,
  options: ParsedOptions,
): Promise<Stored | undefined> {
  const { layer, matrix: name, prefer } = place;
  const chosen = optionsOf(options, layer, name);
  if (!chosen) return undefined;
  const [rows, columns] = place.shape;
  const data = (await weights[`${layer}/${name}`]!.data()) as Float32Array;
  const matrix = { data, rows, columns };
  const quantized = naming(place, () => quantize(matrix, { ...chosen, prefer }));
  const parts = partsOf(name, quantized);
  if (hostBytes(parts) >= data.byteLength) return undefined;
  return { place, weights: parts, ...costOf(matrix, quantized) };
}

function partsOf(name: string, { weights }: Quantized): Readonly<Record<string, HostWeight>> {
  const parts = Object.entries(weights).map(([part, data]) => [
    `${name}_${part}`,
    { data, shape: [data.length] },
  ]);
  return Object.fromEntries(parts);
}

function costOf(matrix: Matrix, quantized: Quantized) {
  const { config } = quantized;
  const back = dequantize(quantized, [matrix.rows, matrix.columns]);
  return { config, what: inWords(config), ...squaredSums(matrix.data, back.data) };
}

/** `8 bits, symmetric, per row`. */
function inWords({ kind, bits, scheme, granularity, columns }: StorageConfig): string {
  const of = granularity as string | { readonly group: number };
  const per = typeof of === 'object' ? `per group of ${of.group}` : `per ${of}`;
  if (kind === 'nf4') return `NF4, ${per}`;
  if (kind === 'uniform') return `${bits} bits, ${scheme}, ${per}`;
  return `${bits} bits, codebook per ${columns ? `${columns} columns` : 'tensor'}`;
}

/** Adds layer and matrix to what is wrong with the numbers. */
function naming<T>({ layer, matrix }: Place, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    const problem = `layer '${layer}', matrix '${matrix}': ${error.parts.problem}`;
    throw new EspalierError(error.code, { ...error.parts, problem });
  }
}
