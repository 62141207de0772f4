import * as tf from '@tensorflow/tfjs-core';
import { composition } from './repair.js';

interface Inputs {
  readonly a: tf.Tensor;
  readonly b: tf.Tensor;
}

interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Multiply-adds from which the set-up of XNNPACK's product pays for itself. */
const worthwhile = 16 * 1024;

const matrixTranspose = (x: tf.Tensor): tf.Tensor =>
  tf.transpose(x, [...Array(x.rank - 2).keys(), x.rank - 1, x.rank - 2]);

/** The sizes of one product `[rows, inner] x [inner, columns]`. */
function sizes({ a, b }: Inputs, { transposeA, transposeB }: Attrs) {
  const [rows, inner] = a.shape.slice(-2) as [number, number];
  const [across, down] = b.shape.slice(-2) as [number, number];
  return {
    rows: transposeA ? inner : rows,
    inner: transposeA ? rows : inner,
    columns: transposeB ? across : down,
  };
}

/** `rows * inner * columns`, the multiply-adds of one product of the batch. */
function multiplyAdds(inputs: Inputs, attrs: Attrs): number {
  const { rows, inner, columns } = sizes(inputs, attrs);
  return rows * inner * columns;
}

/**
 * The product without transposed operands. Where it is cheaper, `A Bᵀ` is `(B Aᵀ)ᵀ`: XNNPACK
 * rearranges the right operand, at about four times the cost of a transposition, so the smaller
 * operand should be there; one layer's gradient has few rows against a large matrix of weights.
 */
const untransposed = composition<Inputs, Attrs>((inputs, attrs) => {
  const { a, b } = inputs;
  const { transposeA, transposeB } = attrs;
  if (!transposeB) return tf.matMul(matrixTranspose(a), b);
  if (transposeA) return matrixTranspose(tf.matMul(b, a));
  const { rows, inner, columns } = sizes(inputs, attrs);
  const exchanged = 4 * rows * inner + rows * columns < 4 * columns * inner;
  return exchanged
    ? matrixTranspose(tf.matMul(b, matrixTranspose(a)))
    : tf.matMul(a, matrixTranspose(b));
});

/** One product at a time. */
const unbatched = composition<Inputs, Attrs>(({ a, b }) => {
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(
    a.shape.slice(0, -2),
    b.shape.slice(0, -2),
  );
  const matrix = (x: tf.Tensor, i: number) => {
    const [rows, columns] = x.shape.slice(-2) as [number, number];
    const stack = tf.reshape(x, [-1, rows, columns]);
    return tf.reshape(tf.slice(stack, [i % stack.shape[0]!, 0, 0], [1, rows, columns]), [
      rows,
      columns,
    ]);
  };
  const products = [...Array(tf.util.sizeFromShape(batch)).keys()].map((i) =>
    tf.tidy(() => tf.matMul(matrix(a, i), matrix(b, i))),
  );
  const [rows, columns] = [a.shape.at(-2)!, b.shape.at(-1)!];
  return tf.reshape(tf.stack(products), [...batch, rows, columns]);
});

/**
 * The wasm kernel uses XNNPACK only for a single product without transposed operands, and a plain loop
 * 15 times slower for all others: the gradients of every dense layer, and attention.
 */
export const batchMatMul = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const inputs = params.inputs as unknown as Inputs;
    const attrs = params.attrs as unknown as Attrs;
    const { a, b } = inputs;
    const supported = a.dtype === 'float32' && b.dtype === 'float32';
    if (!supported || multiplyAdds(inputs, attrs) < worthwhile) return original(params);
    if (attrs.transposeA || attrs.transposeB) return untransposed(params);
    const batches = [a, b].map((x) => tf.util.sizeFromShape(x.shape.slice(0, -2)));
    return Math.max(...batches) > 1 ? unbatched(params) : original(params);
  };
};

/**
 * Batch shapes that differ, as `[2, 3]` and `[2, 1]`: the kernels count through the smaller batch again
 * and again, which pairs the wrong matrices unless it is a single one. The repair repeats it first.
 */
export const broadcastBatchMatMul = (original: tf.KernelFunc): tf.KernelFunc => {
  const repeated = composition<Inputs, Attrs>(({ a, b }, { transposeA, transposeB }) => {
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(
      a.shape.slice(0, -2),
      b.shape.slice(0, -2),
    );
    const repeat = (x: tf.Tensor) => tf.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
    return tf.matMul(repeat(a), repeat(b), transposeA, transposeB);
  });
  return (params) => {
    const { a, b } = params.inputs as unknown as Inputs;
    const batches = [a, b].map((x) => x.shape.slice(0, -2));
    const same = tf.util.arraysEqual(batches[0]!, batches[1]!);
    const single = batches.some((batch) => tf.util.sizeFromShape(batch) === 1);
    return same || single ? original(params) : repeated(params);
  };
};
