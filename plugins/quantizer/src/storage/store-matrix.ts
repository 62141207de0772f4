import { countHostBytes, nameWeights } from '@espalier/compression';
import type { Matrix, StoredEdit } from '@espalier/compression';
import type { QuantizedMatrix } from '../choose-matrices.js';
import { quantize, quantizeWithSteps } from '../maths/quantize.js';
import type { Quantized } from '../maths/quantize.js';
import { isVectorCodebook, resolveOptions } from '../options.js';
import type { ParsedOptions } from '../options.js';
import { computeCost, naming } from './edit-parts.js';
import { FAKE_KIND } from './storage-config.js';
import type { CodeConfig, FakeConfig } from './storage-config.js';
import { storeVectors } from './store-vectors.js';

/** Gives the numbers of a weight of the layer, by name. */
type ReadNumbers = (weight: string) => Promise<Float32Array>;

/**
 * A matrix in its next storage: codes, or first the storage of quantization-aware training; `undefined` where the
 * options except it or its codes would not be smaller.
 *
 * @param seed Of the draws of codebooks of vectors.
 * @throws EspalierError `quantizer/not-finite` naming layer, matrix, row and column; `quantizer/parts`.
 */
export async function storeMatrix(
  place: QuantizedMatrix,
  read: ReadNumbers,
  options: ParsedOptions,
  seed: number,
): Promise<StoredEdit | undefined> {
  const { names, matrix: name, shape, prefer, storage } = place;
  const chosen = resolveOptions(options, names, name);
  if (!chosen) return undefined;
  const matrix: Matrix = { data: await read(name), rows: shape[0], columns: shape[1] };
  if (isVectorCodebook(chosen.codebook)) {
    return await storeVectors(place, matrix, { ...chosen, codebook: chosen.codebook, seed });
  }
  const steps = storage.kind === FAKE_KIND && (await read(`${name}_step`));
  const { codebook } = chosen;
  const quantized = await naming(place, () =>
    steps
      ? quantizeWithSteps(matrix, storage as FakeConfig, steps)
      : quantize(matrix, { ...chosen, codebook, prefer }),
  );
  const coded = inCodes(name, quantized);
  if (countHostBytes(coded.weights) >= matrix.data.byteLength) return undefined;
  const train = !steps && options.qat;
  const stored = train ? inTraining(name, matrix, quantized, train) : coded;
  return { place, ...stored, ...computeCost(matrix, quantized) };
}

type Storage = Pick<StoredEdit, 'config' | 'weights' | 'summary'>;

function inCodes(name: string, { config, weights }: Quantized): Storage {
  return { config, weights: nameWeights(name, weights), summary: inWords(config) };
}

/** The first half of quantization-aware training: float32 numbers, and the scales of their codes as steps. */
function inTraining(
  name: string,
  { data, rows, columns }: Matrix,
  { config, weights }: Quantized,
  how: 'lsq' | 'ste',
): Storage {
  const { bits, granularity } = config as Extract<CodeConfig, { kind: 'uniform' }>;
  const step = how === 'ste' ? 'fixed' : 'learned';
  const steps = weights.scale!;
  const fake: FakeConfig = { kind: FAKE_KIND, bits, granularity, step };
  return {
    config: fake,
    weights: {
      [name]: { data, shape: [rows, columns] },
      [`${name}_step`]: { data: steps, shape: [steps.length] },
    },
    summary: `${inWords(config)}, in training`,
  };
}

/** `8 bits, symmetric, per row`. */
function inWords(config: CodeConfig): string {
  if (config.kind === 'codebook') {
    const per = config.columns ? `${config.columns} columns` : 'tensor';
    return `${config.bits} bits, codebook per ${per}`;
  }
  const { granularity: of } = config;
  const per = typeof of === 'object' ? `per group of ${of.group}` : `per ${of}`;
  if (config.kind === 'nf4') return `NF4, ${per}`;
  return `${config.bits} bits, ${config.scheme}, ${per}`;
}
