import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

interface MirrorPadAttrs {
  readonly paddings: readonly (readonly [number, number])[];
  readonly mode: 'reflect' | 'symmetric';
}

/** Adds the mirrored borders of one axis back onto the elements that they repeat. */
function foldMirror(dy: tf.Tensor, axis: number, before: number, after: number, gap: 0 | 1) {
  const length = dy.shape[axis]! - before - after;
  const part = (begin: number, size: number) =>
    tf.slice(
      dy,
      dy.shape.map((_, i) => (i === axis ? begin : 0)),
      dy.shape.map((n, i) => (i === axis ? size : n)),
    );
  const place = (border: tf.Tensor, at: number, size: number) =>
    tf.pad(
      tf.reverse(border, axis),
      dy.shape.map((_, i): [number, number] => (i === axis ? [at, length - at - size] : [0, 0])),
    );
  let folded: tf.Tensor = part(before, length);
  if (before > 0) folded = tf.add(folded, place(part(0, before), gap, before));
  if (after > 0) {
    folded = tf.add(folded, place(part(before + length, after), length - after - gap, after));
  }
  return folded;
}

const mirrorPad = defineGradient<[], MirrorPadAttrs>(
  tf.MirrorPad,
  {},
  (dy, _saved, { paddings, mode }) => ({
    x: () =>
      paddings.reduce(
        (t, [before, after], axis) =>
          foldMirror(t, axis, before, after, mode === 'reflect' ? 1 : 0),
        dy,
      ),
  }),
);

/** Sums the repetitions, one axis at a time, so that no rank is too high. */
const tile = defineGradient<[tf.Tensor], { readonly reps: readonly number[] }>(
  tf.Tile,
  { inputs: ['x'] },
  (dy, [x], { reps }) => ({
    x: () =>
      reps.reduce((t, rep, axis) => {
        if (rep === 1) return t;
        const outer = tf.util.sizeFromShape(t.shape.slice(0, axis));
        const summed = tf.sum(tf.reshape(t, [outer, rep, -1]), 1);
        return tf.reshape(
          summed,
          t.shape.map((n, i) => (i === axis ? x.shape[i]! : n)),
        );
      }, dy),
  }),
);

interface DepthToSpaceAttrs {
  readonly blockSize: number;
  readonly dataFormat: 'NHWC' | 'NCHW';
}

/** Space to depth, which tfjs lacks: the blocks become channels again. */
function spaceToDepth(dy: tf.Tensor, shape: number[], attrs: DepthToSpaceAttrs): tf.Tensor {
  const { blockSize: block, dataFormat } = attrs;
  if (dataFormat === 'NHWC') {
    const [batch, height, width] = shape as [number, number, number, number];
    const cells = tf.reshape(dy, [batch, height, block, width, block, -1]);
    return tf.reshape(tf.transpose(cells, [0, 1, 3, 2, 4, 5]), shape);
  }
  const [batch, , height, width] = shape as [number, number, number, number];
  const cells = tf.reshape(dy, [batch, -1, height, block, width, block]);
  return tf.reshape(tf.transpose(cells, [0, 3, 5, 1, 2, 4]), shape);
}

const depthToSpace = defineGradient<[tf.Tensor], DepthToSpaceAttrs>(
  tf.DepthToSpace,
  { inputs: ['x'] },
  (dy, [x], attrs) => ({ x: () => spaceToDepth(dy, x.shape, attrs) }),
);

/** The engine hands over a list of gradients only if there is more than one output. */
const asList = (dys: tf.Tensor | tf.Tensor[]) => (Array.isArray(dys) ? dys : [dys]);

const split = defineGradient<[], { readonly axis: number }, tf.Tensor | tf.Tensor[]>(
  tf.SplitV,
  {},
  (dys, _saved, { axis }) => ({ x: () => tf.concat(asList(dys), axis) }),
);

const unpack = defineGradient<[], { readonly axis: number }, tf.Tensor | tf.Tensor[]>(
  tf.Unpack,
  {},
  (dys, _saved, { axis }) => ({ value: () => tf.stack(asList(dys), axis) }),
);

export const rearranging: readonly tf.GradConfig[] = [mirrorPad, tile, depthToSpace, split, unpack];
