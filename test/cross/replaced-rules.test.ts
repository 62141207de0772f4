import { compressionReport } from '@espalier/compression';
import type { RowDecoder, StoredConv2D } from '@espalier/compression';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Plugin, Session } from '@espalier/core';
import { blockLowRank } from '@espalier/plugin-block-low-rank';
import { prune } from '@espalier/plugin-prune';
import { quantizer } from '@espalier/plugin-quantizer';
import { onBackend, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

const { conv2d, dense, embedding, flatten } = tfl.layers;
const L2 = 0.25;
const rate = () => tfl.regularizers.l2({ l2: L2 });
const bounds = () => tfl.constraints.minMaxNorm({ minValue: 0.1, maxValue: 0.5, axis: 0 });

interface Rules {
  readonly regularizer?: ReturnType<typeof rate>;
  readonly constraint?: ReturnType<typeof bounds>;
}

/** A model whose layer `subject` has rules for its matrix, by the class of that layer. */
const MODELS = {
  Dense: ({ regularizer, constraint }: Rules) => [
    dense({
      name: 'subject',
      units: 16,
      inputShape: [6],
      ...(regularizer && { kernelRegularizer: regularizer }),
      ...(constraint && { kernelConstraint: constraint }),
    }),
  ],
  Embedding: ({ regularizer, constraint }: Rules) => [
    embedding({
      name: 'subject',
      inputDim: 16,
      outputDim: 6,
      inputLength: 2,
      ...(regularizer && { embeddingsRegularizer: regularizer }),
      ...(constraint && { embeddingsConstraint: constraint }),
    }),
    flatten({}),
  ],
  Conv2D: ({ regularizer, constraint }: Rules) => [
    conv2d({
      name: 'subject',
      filters: 8,
      kernelSize: 3,
      inputShape: [4, 4, 2],
      ...(regularizer && { kernelRegularizer: regularizer }),
      ...(constraint && { kernelConstraint: constraint }),
    }),
    flatten({}),
  ],
} as const;
type Subject = keyof typeof MODELS;

function open(subject: Subject, rules: Rules, plugin: Plugin): Promise<Session> {
  const ids = subject === 'Embedding';
  const source = tinySource({ shape: ids ? [2] : subject === 'Dense' ? [6] : [4, 4, 2] });
  return createSession({
    model: () =>
      tfl.sequential({ layers: [...MODELS[subject](rules), dense({ name: 'logits', units: 3 })] }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.5 }),
    train: source,
    plugins: [plugin],
  });
}

async function step(session: Session, subject: Subject) {
  const shape = { Dense: [4, 6], Embedding: [4, 2], Conv2D: [4, 4, 4, 2] }[subject];
  const x = subject === 'Embedding' ? tf.ones(shape, 'int32') : tf.ones(shape);
  const log = await session.step({ x, y: tf.tensor1d([0, 1, 2, 0], 'int32') });
  return Object.entries(log.terms).filter(([name]) => name.startsWith('regularization/'));
}

/** The decoded matrix, in whatever layer it is. */
function decoded(session: Session): tf.Tensor {
  const layer = session.model.getLayer('subject');
  if ('decodeRows' in layer) {
    return (layer as unknown as RowDecoder).decodeRows(tf.range(0, 16, 1, 'int32'));
  }
  return (layer as StoredConv2D).matrix.all() as Tensor2D;
}

const lowRank = () => blockLowRank({ layers: ['subject'], rank: 2 });
const PLUGINS = {
  'block-low-rank': lowRank,
  prune: () => prune({ layers: ['subject'], ratio: 1.5 }),
  'quantizer, aware': () => quantizer({ layers: ['subject'], qat: 'lsq' }),
  quantizer: () => quantizer({ layers: ['subject'] }),
} as const;
const CASES = (Object.keys(MODELS) as Subject[]).flatMap((subject) =>
  (Object.keys(PLUGINS) as (keyof typeof PLUGINS)[])
    .filter((plugin) => subject !== 'Conv2D' || plugin !== 'block-low-rank')
    .map((plugin) => ({ subject, plugin })),
);

describe.each(CASES)('of $subject, $plugin', ({ subject, plugin }) => {
  test('keeps the regularizer while something trains, and says what becomes of it', () =>
    withSession(open(subject, { regularizer: rate() }, PLUGINS[plugin]()), async (session) => {
      const key = subject === 'Embedding' ? 'embeddingsRegularizer' : 'kernelRegularizer';
      await session.transform();
      const { summary: what } = compressionReport(session.inspect().edits)[0]!;
      const matrix = decoded(session);
      const expected = L2 * tf.sum(tf.square(matrix)).dataSync()[0]!;
      const terms = await step(session, subject);
      if (plugin === 'quantizer') {
        expect(terms).toEqual([]);
        expect(what).toContain(`${key} stops, since nothing of the matrix trains`);
        return;
      }
      expect(what).toContain(`${key} acts on the decoded matrix`);
      expect(terms).toHaveLength(1);
      expect(terms[0]![0]).toMatch(/^regularization\/subject\//);
      expect(terms[0]![1]).toBeCloseTo(expected, 4);
      const shrunk = L2 * tf.sum(tf.square(decoded(session))).dataSync()[0]!;
      expect(shrunk).toBeLessThan(expected);
    }));

  test('keeps the constraint, lets it end with training, or refuses it at setup by name', async () => {
    const opening = open(subject, { constraint: bounds() }, PLUGINS[plugin]());
    const key = subject === 'Embedding' ? 'embeddingsConstraint' : 'kernelConstraint';
    if (plugin === 'block-low-rank' || plugin === 'prune') {
      await expect(opening).rejects.toMatchObject({
        code: `${plugin}/constraint`,
        message: expect.stringMatching(new RegExp(`'subject' has a ${key}`)) as string,
      });
      return;
    }
    await withSession(opening, async (session) => {
      await session.transform();
      const { summary: what } = compressionReport(session.inspect().edits)[0]!;
      expect(what).toContain(`${key} ${plugin === 'quantizer' ? 'stops' : 'is kept'}`);
      await step(session, subject);
      if (plugin === 'quantizer') return;
      const kernel = session.parameters()[`subject/${key.replace('Constraint', '')}`]!;
      const columns = subject === 'Conv2D' ? [3, 3, 2, 8] : kernel.shape;
      const norms = tf.norm(tf.reshape(kernel, columns), 'euclidean', 0).dataSync();
      norms.forEach((norm) => expect(norm).toBeLessThanOrEqual(0.5 + 1e-5));
    });
  });
});
