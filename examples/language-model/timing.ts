// Milliseconds of a training step of the size of Zaremba's small model, part by part, against the
// same part of TensorFlow.js and of core. `--threads N`: threads of the wasm backend (1).
import { parseArgs } from 'node:util';
import { useBackend } from '@espalier/backend';
import {
  chain,
  clipByGlobalNorm,
  createSession,
  crossEntropy,
  keyedRng,
  sgd,
} from '@espalier/core';
import type { Loss } from '@espalier/core';
import { table, toText } from '@espalier/report';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { carriedState } from './carried-state.js';
import { CARRIED, lstmModel } from './lstm-model.js';
import { lstmSequence } from './lstm-sequence.js';
import { sequenceCrossEntropy } from './sequence-cross-entropy.js';
import { streamSource } from './streams.js';

const [STREAMS, STEPS, VOCABULARY, UNITS] = [20, 35, 10_000, 200];
const REPEATS = 9;

const { values } = parseArgs({ options: { threads: { type: 'string', default: '1' } } });
const backend = await useBackend({ prefer: 'wasm', threads: Number(values.threads) });
console.log(backend.line);
const format = { style: 'fixed', digits: 0 } as const;
const times = table({
  title: `Forward and backward, ${STREAMS} × ${STEPS} words of ${VOCABULARY}, ${UNITS} units`,
  columns: [
    { key: 'part', label: 'part' },
    { key: 'fastest', label: 'ms, fastest', format },
    { key: 'median', label: 'ms, median', format },
  ],
  rows: [
    await timed('one LSTM, lstmSequence', ownLstm()),
    await timed('one LSTM, tfjs-layers', layersLstm()),
    await timed('logits', logits()),
    await timed('loss, sequenceCrossEntropy', loss(sequenceCrossEntropy())),
    await timed('loss, crossEntropy', loss(crossEntropy())),
    await trainingStep(),
  ],
});
console.log(`${times.title}\n${toText(times)}`);
backend.dispose();

function random(...shape: number[]): Tensor {
  const draw = keyedRng(0, 'timing', ...shape);
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, () => 0.2 * draw() - 0.1),
    shape,
  );
}

/** Milliseconds of `run`, which gives tensors; they are disposed. */
async function timed(part: string, run: () => Tensor[]) {
  const milliseconds: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const started = performance.now();
    const results = tf.tidy(run);
    await results[0]!.data();
    tf.dispose(results);
    milliseconds.push(performance.now() - started);
  }
  return row(part, milliseconds);
}

function row(part: string, milliseconds: readonly number[]) {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return { part, fastest: sorted[0]!, median: sorted[Math.floor(sorted.length / 2)]! };
}

function ownLstm() {
  const operands = [
    random(STREAMS, STEPS, UNITS),
    random(UNITS, 4 * UNITS),
    random(UNITS, 4 * UNITS),
    random(4 * UNITS),
  ];
  const h = tf.zeros<tf.Rank.R2>([STREAMS, UNITS]);
  const gradients = tf.grads((...[x, kernel, recurrentKernel, bias]: Tensor[]) =>
    tf.sum(
      lstmSequence({
        x: x as Tensor3D,
        kernel: kernel as Tensor2D,
        recurrentKernel: recurrentKernel as Tensor2D,
        bias: bias as Tensor1D,
        h,
        c: h,
      }),
    ),
  );
  return () => gradients(operands);
}

function layersLstm() {
  const layer = tfl.layers.lstm({
    units: UNITS,
    returnSequences: true,
    recurrentActivation: 'sigmoid',
    recurrentInitializer: 'glorotUniform',
  });
  layer.apply(tfl.input({ shape: [STEPS, UNITS] }));
  const x = random(STREAMS, STEPS, UNITS);
  return () => {
    const { grads } = tf.variableGrads(() => tf.sum(layer.apply(x) as Tensor));
    return Object.values(grads);
  };
}

function logits() {
  const operands = [random(STREAMS * STEPS, UNITS), random(UNITS, VOCABULARY), random(VOCABULARY)];
  const gradients = tf.grads((...[a, b, bias]: Tensor[]) =>
    tf.mean(tf.fused.matMul({ a: a!, b: b!, bias })),
  );
  return () => gradients(operands);
}

function loss({ perExample }: Loss) {
  const output = random(STREAMS, STEPS, VOCABULARY);
  const target = tf.zeros([STREAMS, STEPS], 'int32');
  const gradient = tf.grad((x) => tf.mean(perExample(x, target)));
  return () => [gradient(output)];
}

/** Steps of a session as they are: state carried, gradients clipped, parameters moved. */
async function trainingStep() {
  const states = Object.fromEntries(Object.keys(CARRIED).map((name) => [name, UNITS]));
  const ids = new Int32Array(STREAMS * (STEPS * REPEATS + 1));
  const session = await createSession({
    model: () => lstmModel({ vocabulary: VOCABULARY, units: UNITS }),
    loss: { logits: sequenceCrossEntropy() },
    optimizer: chain(clipByGlobalNorm(5), sgd({ learningRate: 1 })),
    plugins: [carriedState({ carry: CARRIED })],
    backend,
  });
  const source = streamSource({ ids, streams: STREAMS, steps: STEPS, states });
  const milliseconds: number[] = [];
  for await (const batch of source.iterate({ epoch: 0, skip: 0, stream: keyedRng(0) })) {
    const started = performance.now();
    await session.step(batch);
    milliseconds.push(performance.now() - started);
    tf.dispose([batch.x, batch.y!]);
  }
  await session.dispose();
  return row('a whole training step', milliseconds);
}
