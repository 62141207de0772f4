import { EspalierError, parseOptions } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Shape } from '@tensorflow/tfjs-layers';
import { z } from 'zod';

/** How positions between positions are filled. */
export type ResizeMode = 'nearest' | 'bilinear';

/** Arguments of {@link ResizeTo}. */
export interface ResizeToArgs {
  readonly name?: string;
  /** Length of each axis between batch and channels: `[steps]` or `[height, width]`. */
  readonly size: readonly number[];
  readonly mode: ResizeMode;
}

const resizeOptions = z.strictObject({
  size: z.array(z.int().positive()).min(1),
  mode: z.enum(['nearest', 'bilinear']),
});

/**
 * Resizes sequences `[batch, steps, channels]` and maps `[batch, height, width, channels]` to a fixed
 * size, larger or smaller: one product with a constant matrix per axis that changes. So it has
 * derivatives of every order on every backend, which tfjs's own resizing has not. `nearest` takes
 * position ⌊i·from/to⌋; `bilinear` aligns the centres of positions, as PyTorch's `interpolate` does
 * by default (`align_corners=False`), without antialiasing.
 *
 * Importing this package registers the class, which loading a model that holds the layer needs.
 *
 * @throws EspalierError `options/invalid`; of inputs of another rank: `label-generator/resize`.
 * @example
 * const larger = new ResizeTo({ size: [28, 28], mode: 'bilinear' }).apply(map);
 */
export class ResizeTo extends tfl.layers.Layer {
  static readonly className = 'ResizeTo';
  readonly #size: readonly number[];
  readonly #mode: ResizeMode;

  constructor({ size, mode, ...rest }: ResizeToArgs) {
    super(rest);
    parseOptions('ResizeTo', resizeOptions, { size, mode });
    this.#size = size;
    this.#mode = mode;
  }

  override computeOutputShape(inputShape: Shape): Shape {
    if (inputShape.length !== this.#size.length + 2) throw otherRank(this.#size, inputShape);
    return [inputShape[0]!, ...this.#size, inputShape.at(-1)!];
  }

  /** Multiply-accumulate operations per example: a matrix product for each axis whose length changes. */
  macs(inputShape: Shape): number {
    let shape = inputShape.slice(1).map((length) => length ?? 1);
    return this.#size.reduce((sum, length, axis) => {
      const from = shape[axis]!;
      shape = shape.with(axis, length);
      return from === length ? sum : sum + shape.reduce((a, b) => a * b, from);
    }, 0);
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const input = Array.isArray(inputs) ? inputs[0]! : inputs;
    if (input.rank !== this.#size.length + 2) throw otherRank(this.#size, input.shape);
    return tf.tidy(() =>
      this.#size.reduce((x, length, i) => resizeAxis(x, i + 1, length, this.#mode), input),
    );
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), size: [...this.#size], mode: this.#mode };
  }
}
tf.serialization.registerClass(ResizeTo);

function otherRank(size: readonly number[], received: Shape): EspalierError {
  return new EspalierError('label-generator/resize', {
    problem: `a ResizeTo of ${size.length} axes takes [batch, ${size.map(() => 'length').join(', ')}, channels]`,
    received,
    fix: 'Give size one number per axis between batch and channels.',
  });
}

function resizeAxis(x: Tensor, axis: number, to: number, mode: ResizeMode): Tensor {
  const from = x.shape[axis]!;
  if (from === to) return x;
  const last = x.rank - 1;
  const swapped = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  const moved = tf.transpose(x, swapped);
  const rows = tf.reshape(moved, [-1, from]) as Tensor2D;
  const resized = tf.matMul(rows, interpolation(from, to, mode));
  return tf.transpose(tf.reshape(resized, [...moved.shape.slice(0, -1), to]), swapped);
}

/** The matrix `[from, to]` whose columns say of which positions each new one is made. */
function interpolation(from: number, to: number, mode: ResizeMode): Tensor2D {
  const matrix = new Float32Array(from * to);
  for (let i = 0; i < to; i++) {
    for (const [position, share] of SOURCES[mode](i, from, to)) {
      matrix[position * to + i]! += share;
    }
  }
  return tf.tensor2d(matrix, [from, to]);
}

type Sources = readonly (readonly [position: number, share: number])[];

const SOURCES = {
  nearest: (i: number, from: number, to: number): Sources => [[Math.floor((i * from) / to), 1]],
  bilinear(i: number, from: number, to: number): Sources {
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const before = Math.floor(centre);
    const share = centre - before;
    return [
      [before, 1 - share],
      [Math.min(before + 1, from - 1), share],
    ];
  },
} as const;
