import { EspalierError, viewModel } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';

/** Examples for a model: one tensor, or several by input name. */
export type Examples = Tensor | NamedTensors;

/** Cuts examples into batches. */
export interface ExampleBatches {
  readonly examples: number;
  /** A batch as values of the model's inputs, and the row that it starts at. The caller owns them. */
  batches(): Generator<{ readonly start: number; readonly values: Map<SymbolicTensor, Tensor> }>;
}

/**
 * Examples in batches of `batchSize`, the last one perhaps smaller.
 *
 * @throws EspalierError `early-exit/inputs`, `early-exit/batch-size`.
 */
export function makeBatches(model: LayersModel, x: Examples, batchSize: number): ExampleBatches {
  const tensors = listTensors(model, x);
  const examples = tensors[0]!.shape[0]!;
  if (!(Number.isInteger(batchSize) && batchSize > 0)) {
    throw new EspalierError('early-exit/batch-size', {
      problem: 'batchSize must be a positive integer',
      received: batchSize,
    });
  }
  return {
    examples,
    *batches() {
      for (let start = 0; start < examples; start += batchSize) {
        const length = Math.min(batchSize, examples - start);
        const slice = (tensor: Tensor, { dtype }: SymbolicTensor) =>
          tf.tidy(() => tf.cast(tf.slice(tensor, start, length), dtype));
        const values = model.inputs.map(
          (symbol, i) => [symbol, slice(tensors[i]!, symbol)] as const,
        );
        yield { start, values: new Map(values) };
      }
    },
  };
}

function listTensors(model: LayersModel, x: Examples): Tensor[] {
  const names = viewModel(model).inputNames;
  const given = x instanceof tf.Tensor ? { [names[0]!]: x } : x;
  return names.map((name, i) => {
    const { shape } = model.inputs[i]!;
    const tensor = given[name];
    const fits =
      tensor?.shape.length === shape.length &&
      shape.every((size, k) => k === 0 || size === null || size === tensor.shape[k]);
    if (fits) return tensor;
    throw new EspalierError('early-exit/inputs', {
      problem: `input '${name}' must be a tensor of shape [${['examples', ...shape.slice(1)].join(', ')}]`,
      received: tensor?.shape ?? Object.keys(given),
      fix: names.length > 1 ? `Pass { ${names.join(': …, ')}: … }.` : 'The first axis is examples.',
    });
  });
}
