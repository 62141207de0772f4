import * as tf from '@tensorflow/tfjs-core';
import { copyRun, writeElements } from './memory.js';
import type { Elements, ElementType } from './memory.js';

/** Copies the box of `size` at `begin`, run by run: a run spans the axes behind the last cut one. */
function copyBox(
  target: Elements,
  source: Elements,
  shape: readonly number[],
  begin: readonly number[],
  size: readonly number[],
): void {
  if (target.length === 0) return;
  let axis = shape.length - 1;
  while (axis > 0 && size[axis] === shape[axis]) axis--;
  const inner = tf.util.sizeFromShape(shape.slice(axis + 1));
  const run = size[axis]! * inner;
  const strides = shape.map((_, i) => tf.util.sizeFromShape(shape.slice(i + 1)));
  const outer = size.slice(0, axis);
  const place = outer.map(() => 0);
  let from = begin.reduce((sum, b, i) => sum + b * strides[i]!, 0);
  for (let to = 0; to < target.length; to += run) {
    copyRun(target, to, source, from, run);
    for (let i = axis - 1; i >= 0; i--) {
      from += strides[i]!;
      if (++place[i]! < outer[i]!) break;
      from -= outer[i]! * strides[i]!;
      place[i] = 0;
    }
  }
}

function box(backend: object, x: tf.Tensor, begin: readonly number[], size: readonly number[]) {
  return writeElements(backend, x.dtype as ElementType, size, [x], (target, source) =>
    copyBox(target, source!, x.shape, begin, size),
  );
}

const isPlain = ({ dtype, rank }: tf.Tensor): boolean =>
  rank > 0 && (dtype === 'float32' || dtype === 'int32' || dtype === 'bool');

/** The wasm kernel copies all of its input first, however small the slice. */
export const slice = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const x = params.inputs['x'] as tf.Tensor;
    if (!isPlain(x)) return original(params);
    const { begin, size } = params.attrs as unknown as Record<'begin' | 'size', number[]>;
    const [from, taken] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
    tf.slice_util.assertParamsValid(x, from, taken);
    return box(params.backend, x, from, taken);
  };
};

/** As {@link slice}, for each part: the gradient of a concatenation is a split. */
export const splitV = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const x = params.inputs['x'] as tf.Tensor;
    if (!isPlain(x)) return original(params);
    const { numOrSizeSplits, axis } = params.attrs as unknown as {
      numOrSizeSplits: number | number[];
      axis: number;
    };
    const [along] = tf.util.parseAxisParam(axis, x.shape) as [number];
    let begin = 0;
    return tf.backend_util.prepareSplitSize(x, numOrSizeSplits, along).map((size) => {
      const from = x.shape.map((_, i) => (i === along ? begin : 0));
      begin += size;
      return box(
        params.backend,
        x,
        from,
        x.shape.map((all, i) => (i === along ? size : all)),
      );
    });
  };
};
