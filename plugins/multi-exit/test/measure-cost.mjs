// What exits cost in training and save in prediction; prints the table of the README.
// Run after a build: node plugins/multi-exit/test/measure-cost.mjs
import { performance } from 'node:perf_hooks';
import { arraySource, createSession, crossEntropy, sgd } from '@espalier/core';
import {
  deepestExit,
  exitDistillation,
  multiExit,
  predictEarly,
} from '@espalier/plugin-multi-exit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const STEPS = 20;
const IMAGES = 256;

function residualNet() {
  const conv = (x, filters, kernelSize, strides = 1) => {
    const y = tfl.layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false });
    return tfl.layers.batchNormalization({}).apply(y.apply(x));
  };
  const block = (x, stage, filters, strides) => {
    const inner = conv(tfl.layers.reLU({}).apply(conv(x, filters, 3, strides)), filters, 3);
    const shortcut = strides === 1 ? x : conv(x, filters, 1, strides);
    const sum = tfl.layers.add({}).apply([inner, shortcut]);
    return tfl.layers.reLU({ name: `stage_${stage}` }).apply(sum);
  };
  const input = tfl.input({ shape: [28, 28, 1] });
  let x = tfl.layers.reLU({}).apply(conv(input, 16, 3));
  [16, 32, 64].forEach((filters, i) => (x = block(x, i + 1, filters, i === 0 ? 1 : 2)));
  const pooled = tfl.layers.globalAveragePooling2d({}).apply(x);
  const logits = tfl.layers.dense({ name: 'logits', units: 10 }).apply(pooled);
  return tfl.model({ inputs: input, outputs: logits });
}

const at = ['stage_1', 'stage_2'];
const contenders = {
  plain: [],
  'linear exits': [multiExit({ at })],
  'linear exits, detached': [multiExit({ at, detach: true })],
  BYOT: [multiExit({ at, branch: 'bottleneck' }), deepestExit(), exitDistillation({ hint: 1e-6 })],
};
const pixels = Float32Array.from({ length: IMAGES * 784 }, (_, i) => Math.sin(i * i));
const classes = Int32Array.from({ length: IMAGES }, (_, i) => i % 10);
const train = arraySource({
  x: { data: pixels, shape: [IMAGES, 28, 28, 1] },
  y: { data: classes, shape: [IMAGES] },
  batchSize: 32,
});

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const timed = async (fn) => {
  const started = performance.now();
  await fn();
  return performance.now() - started;
};

const backend = { prefer: ['wasm'] };
const sessions = {};
for (const [name, plugins] of Object.entries(contenders)) {
  const optimizer = sgd({ learningRate: 0.01 });
  const run = { model: residualNet, loss: crossEntropy(), optimizer, plugins, train, backend };
  sessions[name] = await createSession(run);
}
const raw = {
  x: tf.tensor4d(pixels.slice(0, 32 * 784), [32, 28, 28, 1]),
  y: tf.tensor1d(classes.slice(0, 32), 'int32'),
};
const steps = Object.fromEntries(Object.keys(sessions).map((name) => [name, []]));
for (let step = -2; step < STEPS; step++) {
  for (const [name, session] of Object.entries(sessions)) {
    const time = await timed(() => session.step(raw));
    if (step >= 0) steps[name].push(time);
  }
}

const { model } = sessions['linear exits'];
const x = tf.tensor4d(pixels, [IMAGES, 28, 28, 1]);
// Every other row leaves, whatever this untrained network says.
const half = () => {
  let row = 0;
  return () => (row++ % 2 === 0 ? 1 : 0);
};
const predictions = {
  'all to the end, exits passed': () => predictEarly(model, x, { threshold: 2 }),
  'half leave at each exit': () => predictEarly(model, x, { threshold: 0.5, policy: half() }),
  'all leave at exit 1': () => predictEarly(model, x, { threshold: 0 }),
  'the network without exits': () => predictEarly(model, x, { threshold: 0, exits: ['logits'] }),
};
for (const [name, predict] of Object.entries(predictions)) {
  console.log(`${name}: ${((await predict()).macs / 1e6).toFixed(2)} million multiply-accumulates`);
}
const times = Object.fromEntries(Object.keys(predictions).map((name) => [name, []]));
for (let repeat = -1; repeat < STEPS; repeat++) {
  for (const [name, predict] of Object.entries(predictions)) {
    const time = await timed(predict);
    if (repeat >= 0) times[name].push(time / IMAGES);
  }
}

const table = (title, rows, base) => {
  console.log(`\n| ${title} | ms, median | ratio |\n| --- | --- | --- |`);
  for (const [name, values] of Object.entries(rows)) {
    const ratio = median(values) / median(rows[base]);
    console.log(`| ${name} | ${median(values).toFixed(2)} | ${ratio.toFixed(2)} |`);
  }
};
table('training step, batch 32', steps, 'plain');
table('prediction per image, batch 128', times, 'the network without exits');
for (const session of Object.values(sessions)) await session.dispose();
process.exit(0);
