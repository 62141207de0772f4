import { createSession, meanSquaredError, sgd } from '@espalier/core';
import type { Batch, Session } from '@espalier/core';
import { backendsUnderTest, directional, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { layerClasses } from './layer-classes.js';

const { layers } = tfl;

type Make = (options: never) => unknown;
type Row = readonly [name: string, maker: Make, options: object, shape: readonly number[]];

/** Every layer of tfjs with weights that an option leaves out. */
const table: readonly Row[] = [
  ['Dense', layers.dense, { units: 2 }, [3]],
  ['Conv1D', layers.conv1d, { filters: 2, kernelSize: 2 }, [4, 2]],
  ['Conv2D', layers.conv2d, { filters: 2, kernelSize: 2 }, [3, 3, 2]],
  ['Conv3D', layers.conv3d, { filters: 1, kernelSize: 2 }, [2, 2, 2, 2]],
  ['Conv2DTranspose', layers.conv2dTranspose, { filters: 2, kernelSize: 2 }, [2, 2, 2]],
  ['Conv3DTranspose', layers.conv3dTranspose, { filters: 1, kernelSize: 2 }, [2, 2, 2, 2]],
  ['SeparableConv2D', layers.separableConv2d, { filters: 2, kernelSize: 2 }, [3, 3, 2]],
  ['DepthwiseConv2D', layers.depthwiseConv2d, { kernelSize: 2 }, [3, 3, 2]],
  ['BatchNormalization', layers.batchNormalization, {}, [3]],
  ['BatchNormalization', layers.batchNormalization, { axis: 1 }, [3, 2]],
  ['BatchNormalization', layers.batchNormalization, {}, [3, 3, 2]],
  ['LayerNormalization', layers.layerNormalization, {}, [3]],
  ['LayerNormalization', layers.layerNormalization, { axis: [1, 2] }, [3, 2]],
  ['SimpleRNN', layers.simpleRNN, { units: 2 }, [3, 2]],
  ['GRU', layers.gru, { units: 2 }, [3, 2]],
  ['LSTM', layers.lstm, { units: 2 }, [3, 2]],
  ['ConvLSTM2D', layers.convLstm2d, { filters: 1, kernelSize: 2 }, [2, 3, 3, 2]],
];

const OFF = {
  'without a bias': { useBias: false },
  'without a scale': { scale: false },
  'without a centre': { center: false },
  'without both': { scale: false, center: false },
};

const cases = table.flatMap(([name, maker, options, shape]) =>
  Object.entries(OFF).flatMap(([without, off]) => {
    const normalizes = name.endsWith('Normalization');
    if (normalizes === 'useBias' in off) return [];
    const full = `${name} of [${shape.join(', ')}] ${without}`;
    return [{ name: full, make: () => maker({ ...options, ...off } as never), shape }];
  }),
);

/** With weights before and behind the layer. */
function modelOf({ make, shape }: (typeof cases)[number]) {
  const input = tfl.input({ shape: [...shape] });
  const before = layers.dense({ units: shape.at(-1)! }).apply(input);
  const made = (make() as tfl.layers.Layer).apply(before) as tfl.SymbolicTensor;
  const flat = made.rank > 2 ? layers.flatten().apply(made) : made;
  const outputs = layers.dense({ units: 1 }).apply(flat) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs });
}

test('the table has every layer class with such an option', () => {
  const optional = layerClasses(/this\.(useBias|scale|center) = /);
  expect(optional.length).toBeGreaterThan(8);
  // Its scale is a number.
  const weighted = optional.filter((name) => name !== 'Rescaling');
  expect(table.map(([name]) => name)).toEqual(expect.arrayContaining(weighted));
});

const EXAMPLES = 5;
const waves = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(1.9 * i));

async function batchOf(session: Session, shape: readonly number[]): Promise<Batch> {
  const size = shape.reduce((a, b) => a * b, EXAMPLES);
  const x = tf.tensor(waves(size), [EXAMPLES, ...shape]);
  return session.batch({ x, y: tf.tensor(waves(EXAMPLES), [EXAMPLES, 1]) }, 'b');
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  // The other layers' gradients are compared on every backend in @espalier/backend.
  const rows = cases.filter(({ name }) => backend === 'cpu' || name.includes('Normalization'));
  test.each(rows)('$name trains, with the gradients of the loss, twice', (one) =>
    withSession(
      createSession({
        model: () => modelOf(one),
        loss: meanSquaredError(),
        optimizer: sgd({ learningRate: 0.1 }),
        backend: { prefer: backend },
      }),
      async (session) => {
        const batch = await batchOf(session, one.shape);
        const live = session.parameters({ trainable: true });
        const paths = Object.keys(live);
        const xs = Object.values(live);
        const f = (...values: tf.Tensor[]): tf.Scalar =>
          session.objective(batch, {
            params: Object.fromEntries(values.map((value, i) => [paths[i]!, value])),
          });
        const { gradients } = session.gradients(batch);
        expect(Object.keys(gradients).sort()).toEqual([...paths].sort());
        const [numeric, analytic] = directional(
          f,
          xs,
          paths.map((path) => gradients[path]!),
        );
        expect(analytic).toBeCloseTo(numeric, 2);
        const slope = (...values: tf.Tensor[]): tf.Scalar =>
          tf.addN(
            tf
              .grads(f)(values)
              .map((g) => tf.sum(tf.square(g))),
          ) as tf.Scalar;
        const [curved, second] = directional(slope, xs, tf.grads(slope)(xs), { step: 3e-3 });
        expect(Math.abs(second - curved)).toBeLessThan(0.03 * Math.max(1, Math.abs(curved)));
        await session.step({ x: batch.inputs, y: batch.targets });
        const moved = session.parameters({ trainable: true });
        expect(Object.values(moved).every((value) => value.dataSync().every(Number.isFinite))).toBe(
          true,
        );
      },
    ),
  );
});
