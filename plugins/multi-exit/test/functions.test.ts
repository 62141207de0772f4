import { stopGradient } from '@espalier/core';
import {
  chooseExits,
  deepestExit,
  distillationLoss,
  exitDistillation,
  judgeExit,
  multiExit,
  softDivergence,
  squaredDistance,
} from '@espalier/plugin-multi-exit';
import { onBackend, tinyMlp, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { observer, open } from './support.js';

beforeAll(() => onBackend('cpu'));

const TEACHER = [
  [2, -1, 0.5],
  [0, 0, 3],
];
const STUDENT = [
  [-1, 1, 0],
  [2, 0.1, -0.3],
];

const softmax = (row: readonly number[], temperature = 1) => {
  const powers = row.map((x) => Math.exp(x / temperature));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};

/** By the definition. */
function slowLoss(label: number, i: number, alpha: number, temperature: number): number {
  const hard = -Math.log(softmax(STUDENT[i]!)[label]!);
  const [q, p] = [softmax(TEACHER[i]!, temperature), softmax(STUDENT[i]!, temperature)];
  const soft = q.reduce((sum, each, k) => sum + each * Math.log(each / p[k]!), 0);
  return (1 - alpha) * hard + alpha * temperature ** 2 * soft;
}

test.each([
  [0, 1],
  [0.3, 4],
  [1, 2],
])('distillation with α %d and τ %d is the sum of its definition', (alpha, temperature) => {
  const values = tf.tidy(() => {
    const [teacher, student] = [tf.tensor2d(TEACHER), tf.tensor2d(STUDENT)];
    const ids = tf.tensor1d([2, 0], 'int32');
    const oneHot = tf.cast(tf.oneHot([2, 0], 3), 'float32');
    return [ids, oneHot].map((labels) =>
      distillationLoss(student, { teacher, labels, alpha, temperature }).arraySync(),
    );
  });
  values.flat().forEach((value, k) => {
    const i = k % 2;
    expect(value).toBeCloseTo(slowLoss([2, 0][i]!, i, alpha, temperature), 5);
  });
});

test('self-distillation from the functions is the total of the plugins', async () => {
  const losses: number[] = [];
  const look = observer(({ outputs, targets }) => {
    const loss = tf.tidy(() => {
      const labels = targets['logits']!;
      const logits = ['exit_1', 'logits'].map((name) => outputs[name] as Tensor2D);
      const last = logits.at(-1)!;
      const teacher = stopGradient(last) as Tensor2D;
      const options = { labels, alpha: 0.3, temperature: 2 };
      const taught = logits
        .slice(0, -1)
        .map((exit) => distillationLoss(exit, { ...options, teacher }));
      const own = distillationLoss(last, { ...options, teacher, alpha: 0 });
      return tf.mean(tf.addN([own, ...taught])).dataSync()[0]!;
    });
    losses.push(loss);
  });
  const plugins = [
    multiExit({ at: ['hidden'] }),
    deepestExit(),
    exitDistillation({ alpha: 0.3, temperature: 2 }),
    look,
  ];
  await withSession(open(tinyMlp, plugins), async (session) => {
    const batch = { x: tf.ones([2, 6]), y: tf.tensor1d([0, 2], 'int32') };
    const { total } = await session.step(batch);
    tf.dispose(batch);
    expect(total).toBeCloseTo(losses[0]!, 6);
  });
});

test('exits are chosen as in plain code', () => {
  const logits = [
    [0.1, 0, 0, 3, 0, 0, 0, 0.2, 0],
    [0, 2, 0, 0, 0, 1, 1, 0, 0],
    [5, 0, 0, 0, 5, 0, 0, 0, 5],
  ];
  const verdicts = logits.map((each) => judgeExit(each, 3));
  for (const threshold of [0, 0.4, 0.7, 0.9, 1.01]) {
    const slow = [0, 1, 2].map((example) => {
      const rows = logits.map((each) => softmax(each.slice(3 * example, 3 * example + 3)));
      const sure = rows.findIndex((row) => Math.max(...row) >= threshold);
      const exit = sure < 0 ? 2 : sure;
      return [exit, rows[exit]!.indexOf(Math.max(...rows[exit]!))];
    });
    const { exitOf, labels } = chooseExits(verdicts, threshold);
    expect([0, 1, 2].map((i) => [exitOf[i], labels[i]])).toEqual(slow);
  }
  const margin = judgeExit([3, 1, 0], 3, (p) => p[0]! - p[1]!);
  expect(margin.confidence[0]).toBeCloseTo(softmax([3, 1, 0])[0]! - softmax([3, 1, 0])[1]!, 12);
});

test('what cannot be compared is refused by name', () => {
  tf.tidy(() => {
    const [teacher, student] = [tf.tensor2d([[1, 2, 3]]), tf.tensor2d(STUDENT)];
    const labels = tf.tensor1d([0, 1], 'int32');
    expect(() => softDivergence(teacher, student, 3)).toThrow(/\[2, 3\].*teacher \[1, 3\]/);
    expect(() => squaredDistance(student, teacher)).toThrow(/distillation\/shapes/);
    expect(() => softDivergence(student, student, 0)).toThrow(/distillation\/temperature/);
    expect(() => distillationLoss(student, { teacher: student, labels, alpha: 2 })).toThrow(
      /distillation\/alpha/,
    );
  });
  expect(() => chooseExits([], 0.5)).toThrow(/early-exit\/verdicts/);
  const [two, one] = [judgeExit([1, 0, 0, 1], 2), judgeExit([1, 0], 2)];
  expect(() => chooseExits([two, one], 0.5)).toThrow(/Received: \[2, ?1\]/);
});
