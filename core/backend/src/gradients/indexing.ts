import * as tf from '@tensorflow/tfjs-core';
import { detach } from '../stop-gradient.js';
import { defineGradient } from './define.js';
import { dilateAxis, padOrCrop } from './windows.js';

/** Indices are integers: nothing differentiable comes from them. */
const noGradient = (indices: tf.Tensor) => () => tf.zeros(indices.shape, 'float32');

interface StridedSliceAttrs {
  readonly begin: number[];
  readonly end: number[];
  readonly strides: number[];
  readonly beginMask: number;
  readonly endMask: number;
  readonly ellipsisMask: number;
  readonly newAxisMask: number;
  readonly shrinkAxisMask: number;
}

/** Puts every element back where it was taken from: reversed, spread and padded, axis by axis. */
function unslice(dy: tf.Tensor, shape: number[], attrs: StridedSliceAttrs): tf.Tensor {
  const { begin, end, strides } = tf.slice_util.sliceInfo(
    shape,
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
  const sliced = tf.slice_util.computeOutShape(begin, end, strides);
  return shape.reduce(
    (t, length, axis) => {
      const stride = strides[axis]!;
      const count = sliced[axis]!;
      const ordered = stride < 0 ? tf.reverse(t, axis) : t;
      const spread = dilateAxis(ordered, axis, Math.abs(stride));
      const first = Math.min(begin[axis]!, begin[axis]! + (count - 1) * stride);
      return padOrCrop(spread, axis, first, length - first - spread.shape[axis]!);
    },
    tf.reshape(dy, sliced),
  );
}

const stridedSlice = defineGradient<[tf.Tensor], StridedSliceAttrs>(
  tf.StridedSlice,
  { inputs: ['x'] },
  (dy, [x], attrs) => ({
    x: () => (dy.size === 0 ? tf.zeros(x.shape) : unslice(dy, x.shape, attrs)),
  }),
);

const gatherNd = defineGradient<[params: tf.Tensor, indices: tf.Tensor]>(
  tf.GatherNd,
  { inputs: ['params', 'indices'] },
  (dy, [params, indices]) => ({
    params: () => tf.scatterND(detach(indices), dy, params.shape),
    indices: noGradient(indices),
  }),
);

const scatterNd = defineGradient<[indices: tf.Tensor]>(
  tf.ScatterNd,
  { inputs: ['indices'] },
  (dy, [indices]) => ({
    indices: noGradient(indices),
    updates: () => tf.gatherND(dy, detach(indices)),
  }),
);

/** Row-major positions `row * width + index` for a `[rows, k]` matrix of indices. */
function flatPositions(indices: tf.Tensor, rows: number, width: number): tf.Tensor1D {
  const offsets = tf.mul(tf.range(0, rows, 1, 'int32'), tf.scalar(width, 'int32'));
  const matrix = tf.reshape(detach(indices), [rows, -1]);
  return tf.reshape(tf.add(matrix, tf.expandDims(offsets, 1)), [-1]);
}

const topK = defineGradient<[x: tf.Tensor, indices: tf.Tensor], unknown, tf.Tensor[]>(
  tf.TopK,
  { inputs: ['x'], outputs: [false, true] },
  ([dValues], [x, indices]) => ({
    x: () => {
      const width = x.shape[x.rank - 1]!;
      const positions = flatPositions(indices, x.size / width, width);
      const updates = tf.reshape(dValues!, [-1]);
      const flat = tf.scatterND(tf.reshape(positions, [-1, 1]), updates, [x.size]);
      return tf.reshape(flat, x.shape);
    },
  }),
);

/**
 * Sums dy back onto the gathered slices. Batch dimensions become rows of one large table, with the
 * indices of each batch shifted to its own rows.
 */
function gatherGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  indices: tf.Tensor,
  axis: number,
  batchDims: number,
): tf.Tensor {
  const size = (from: number, to?: number) => tf.util.sizeFromShape(x.shape.slice(from, to));
  const [batch, outer, inner] = [size(0, batchDims), size(batchDims, axis), size(axis + 1)];
  const length = x.shape[axis]!;
  const rows = tf.transpose(tf.reshape(dy, [batch, outer, -1, inner]), [0, 2, 1, 3]);
  const ids = flatPositions(indices, batch, length);
  const slices = tf.reshape(rows, [ids.size, outer * inner]);
  const summed = tf.unsortedSegmentSum(slices, ids, batch * length);
  const table = tf.reshape(summed, [batch, length, outer, inner]);
  return tf.reshape(tf.transpose(table, [0, 2, 1, 3]), x.shape);
}

const gather = defineGradient<
  [x: tf.Tensor, indices: tf.Tensor],
  { readonly axis: number; readonly batchDims: number }
>(tf.GatherV2, { inputs: ['x', 'indices'] }, (dy, [x, indices], { axis, batchDims }) => ({
  x: () => {
    const [positive] = tf.util.parseAxisParam(axis, x.shape);
    const batches = batchDims < 0 ? batchDims + indices.rank : batchDims;
    return gatherGradient(dy, x, indices, positive!, batches);
  },
  indices: noGradient(indices),
}));

export const indexing: readonly tf.GradConfig[] = [stridedSlice, gatherNd, scatterNd, topK, gather];
