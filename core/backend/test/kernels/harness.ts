import { installKernels } from '@espalier/backend';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect } from 'vitest';

/** Reproducible values in [-1, 1): a linear congruential generator (Numerical Recipes). */
export function values(size: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export interface Data {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

export function data(shape: readonly number[], seed: number): Data {
  return { shape, values: values(tf.util.sizeFromShape([...shape]), seed) };
}

interface Result {
  readonly shape: number[];
  readonly values: Float32Array;
}

export type Inputs = Readonly<Record<string, Data | undefined>>;

/** Runs one kernel on the backend in use, and checks that nothing but the result was left. */
async function run(kernel: string, inputs: Inputs, attrs: object): Promise<Result> {
  const tensors = Object.fromEntries(
    Object.entries(inputs)
      .filter(([, input]) => input !== undefined)
      .map(([name, input]) => [
        name,
        tf.tensor(
          input!.values,
          [...input!.shape],
          input!.values instanceof Int32Array ? 'int32' : 'float32',
        ),
      ]),
  );
  const before = tf.memory();
  const output = tf.engine().runKernel(kernel, tensors, attrs as tf.NamedAttrMap) as tf.Tensor;
  expect(tf.memory().numTensors).toBe(before.numTensors + 1);
  expect(tf.memory().numDataBuffers).toBeLessThanOrEqual(before.numDataBuffers + 1);
  const result = { shape: output.shape, values: (await output.data()) as Float32Array };
  tf.dispose([output, ...Object.values(tensors)]);
  expect(tf.memory().numTensors).toBe(before.numTensors - Object.keys(tensors).length);
  return result;
}

/** Checks the repaired kernel of a backend against tfjs's own kernel on the cpu. */
export async function expectAsOnCpu(
  backend: 'wasm' | 'cpu',
  kernel: string,
  inputs: Inputs,
  attrs: object,
  reference?: () => Promise<Result>,
): Promise<void> {
  await tf.setBackend('cpu');
  const expected = reference ? await reference() : await run(kernel, inputs, attrs);
  const uninstall = installKernels(backend);
  try {
    await tf.setBackend(backend);
    expectClose(await run(kernel, inputs, attrs), expected);
  } finally {
    uninstall();
  }
}

/** What another kernel, or the same with other arguments, gives on the cpu in use. */
export const reference = (kernel: string, inputs: Inputs, attrs: object) => () =>
  run(kernel, inputs, attrs);

export function expectClose(actual: Result, expected: Result): void {
  expect(actual.shape).toEqual(expected.shape);
  const scale = expected.values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  let worst = 0;
  expected.values.forEach((value, i) => {
    const error = Math.abs(actual.values[i]! - value);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
  });
  expect(worst / scale).toBeLessThan(2e-5);
}

const pads = (most: number) => {
  const side = fc.integer({ min: 0, max: most });
  const explicit = fc.tuple(side, side, side, side).map(([top, bottom, left, right]) => [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  return fc.oneof(fc.constantFrom('same', 'valid'), side, explicit);
};

type Pad = ConvCase['attrs']['pad'];

/** The padding of each side, with which tfjs computes the right size: see `padding.test.ts`. */
export function spelt(pad: Pad): Pad {
  return typeof pad === 'number'
    ? [
        [0, 0],
        [pad, pad],
        [pad, pad],
        [0, 0],
      ]
    : pad;
}

export interface ConvCase {
  readonly input: [number, number, number, number];
  readonly filter: [number, number, number, number];
  readonly output: [number, number, number, number];
  readonly attrs: {
    readonly strides: [number, number];
    readonly pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
    readonly dilations: [number, number];
    readonly dataFormat: 'NHWC';
  };
  readonly seed: number;
}

/**
 * Convolutions of all kinds: odd sizes, strides larger than the filter, padding larger than the filter,
 * one image, one channel. Some are wide, for the paths that copy whole rows.
 */
export function convCases({ depthwise = false, dilated = false } = {}): fc.Arbitrary<ConvCase> {
  const length = (min: number, max: number) => fc.integer({ min, max });
  return fc
    .record({
      batch: length(1, 3),
      height: length(1, 9),
      width: fc.oneof({ weight: 4, arbitrary: length(1, 9) }, length(33, 40)),
      inChannels: length(1, 4),
      outChannels: length(1, depthwise ? 3 : 5),
      filterHeight: length(1, 4),
      filterWidth: length(1, 4),
      strides: fc.tuple(length(1, 3), length(1, 3)),
      dilations: dilated
        ? fc.tuple(length(1, 3), length(1, 3))
        : fc.constant<[number, number]>([1, 1]),
      pad: pads(3),
      seed: fc.nat(),
    })
    .map((c): ConvCase | undefined => {
      const input: ConvCase['input'] = [c.batch, c.height, c.width, c.inChannels];
      const filter: ConvCase['filter'] = [
        c.filterHeight,
        c.filterWidth,
        c.inChannels,
        c.outChannels,
      ];
      const strides: [number, number] = Math.max(...c.dilations) > 1 ? [1, 1] : c.strides;
      const pad = c.pad as ConvCase['attrs']['pad'];
      const info = tf.backend_util.computeConv2DInfo(
        input,
        filter,
        strides,
        c.dilations,
        spelt(pad),
        undefined,
        depthwise,
      );
      if (info.outHeight < 1 || info.outWidth < 1) return undefined;
      const attrs = { strides, pad, dilations: c.dilations, dataFormat: 'NHWC' as const };
      return { input, filter, output: info.outShape, attrs, seed: c.seed };
    })
    .filter((c): c is ConvCase => c !== undefined);
}
