import { EspalierError } from '@espalier/base';
import * as z from 'zod';
import { isTooDeep, MAX_DEPTH } from '../depth.js';

/** The file that says what a model folder holds. */
export const MODEL_FILE = 'model.json';

const BYTES = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 } as const;

const WEIGHT = z.looseObject({
  name: z.string(),
  shape: z.array(z.int().nonnegative()),
  dtype: z.enum(['float32', 'int32', 'bool']),
  quantization: z
    .union([
      z.looseObject({ dtype: z.enum(['uint8', 'uint16']), scale: z.number(), min: z.number() }),
      z.looseObject({ dtype: z.literal('float16') }),
    ])
    .optional(),
});
const SCHEMA = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(
    z.object({
      // Plain names: a model may read no file outside its folder.
      paths: z.array(z.string().regex(/^[^./\\][^/\\]*$/, 'must be a plain file name')),
      weights: z.array(WEIGHT),
    }),
  ),
  userDefinedMetadata: z.record(z.string(), z.unknown()).optional(),
});

/** What a `model.json` holds, as far as a LayersModel needs it. */
export type ModelFile = z.output<typeof SCHEMA>;

/** @throws EspalierError `model-folder/invalid` on whatever is not the file of a LayersModel. */
export function parseModelFile(text: string): ModelFile {
  const value = parseJson(text);
  if ((value as { format?: unknown } | null)?.format === 'graph-model') {
    throw new EspalierError('model-folder/invalid', {
      problem: `${MODEL_FILE} holds a GraphModel, which has no layers`,
      fix: 'Convert the original again, with --output_format=tfjs_layers_model.',
    });
  }
  if (isTooDeep(value)) {
    throw invalidModelFileError(`${MODEL_FILE} is nested deeper than ${MAX_DEPTH} levels`);
  }
  const checked = SCHEMA.safeParse(value);
  if (checked.success) return checked.data;
  const { path, message } = checked.error.issues[0]!;
  throw invalidModelFileError(`field '${path.join('.')}': ${message}`);
}

/** Bytes that the weights of a model take. */
export function countWeightBytes({ weightsManifest }: ModelFile): number {
  return weightsManifest
    .flatMap(({ weights }) => weights)
    .reduce((bytes, { shape, dtype, quantization }) => {
      return bytes + shape.reduce((size, n) => size * n, BYTES[quantization?.dtype ?? dtype]);
    }, 0);
}

export function invalidModelFileError(problem: string, cause?: unknown): EspalierError {
  return new EspalierError('model-folder/invalid', {
    problem: `this is not a sound folder of a LayersModel: ${problem}`,
    fix: 'Take another copy of the folder, or save the model again.',
    cause,
  });
}

/** Whether Keras 3 wrote the layers: its configurations have other fields than those of Keras 2. */
export function isKeras3({ modelTopology }: ModelFile): boolean {
  const { keras_version: version } = modelTopology;
  return (
    (typeof version === 'string' && /^[3-9]/.test(version)) ||
    holdsKey(modelTopology, 'registered_name')
  );
}

function holdsKey(value: unknown, key: string): boolean {
  return JSON.stringify(value).includes(`"${key}":`);
}

/** @param cause Why TensorFlow.js refused the layers. */
export function keras3Error(cause: unknown): EspalierError {
  return new EspalierError('model-folder/invalid', {
    problem: `${MODEL_FILE} was written by Keras 3, whose layers TensorFlow.js cannot make`,
    fix: 'Save the model with Keras 2 (pip install tf-keras, and the environment variable TF_USE_LEGACY_KERAS=1), then convert it again. For its matrices alone, save them with safetensors or numpy.savez.',
    cause,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidModelFileError(`${MODEL_FILE} is not JSON`, cause);
  }
}
