import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { copyRun, readElements, writeElements } from './memory.js';
import type { Elements, ElementType } from './memory.js';

interface Inputs {
  readonly x: tf.Tensor;
  readonly indices: tf.Tensor;
}

type Shape = tf.backend_util.segment_util.GatherOpShapeInfo;

function checkIndices(indices: Elements, length: number): void {
  const wrong = indices.find((index) => index < 0 || index >= length);
  if (wrong === undefined) return;
  throw new EspalierError('backend/gather-index', {
    problem: `gather: an index is not in [0, ${length - 1}]`,
    received: wrong,
    fix: `Pass indices below the size of the axis, which is ${length}.`,
  });
}

/** Copies slice by slice: `target[b, o, i, :] = source[b, o, indices[b, i], :]`. */
function copySlices(target: Elements, source: Elements, indices: Elements, shape: Shape): void {
  const { batchSize, outerSize, dimSize, sliceSize } = shape;
  const perBatch = indices.length / batchSize;
  let to = 0;
  for (let block = 0; block < batchSize * outerSize; block++) {
    const first = Math.floor(block / outerSize) * perBatch;
    for (let i = 0; i < perBatch; i++, to += sliceSize) {
      const row = block * dimSize + indices[first + i]!;
      copyRun(target, to, source, row * sliceSize, sliceSize);
    }
  }
}

/**
 * Both backends compute the place of every single element, and the wasm kernel takes the indices of the
 * first batch for all batches, so that it reads beyond its input. The repair copies whole slices.
 */
export const gather = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { x, indices } = params.inputs as unknown as Inputs;
    if (x.dtype === 'complex64') return original(params);
    const { axis, batchDims } = params.attrs as unknown as Record<'axis' | 'batchDims', number>;
    const [positive] = tf.util.parseAxisParam(axis, x.shape);
    checkIndices(readElements(params.backend, indices), x.shape[positive!]!);
    const shape = tf.backend_util.segment_util.collectGatherOpShapeInfo(
      x,
      indices,
      positive!,
      batchDims,
    );
    const dtype = x.dtype as ElementType;
    const sources = [x, indices];
    return writeElements(params.backend, dtype, shape.outputShape, sources, (target, ...from) =>
      copySlices(target, from[0]!, from[1]!, shape),
    );
  };
};
