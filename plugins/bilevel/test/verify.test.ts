import { sgd } from '@espalier/core';
import { finiteDifference, unroll, verify } from '@espalier/plugin-bilevel';
import type { BilevelProblem, Estimator } from '@espalier/plugin-bilevel';
import { onBackend, tensorsLeakedBy } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { distillation, kinked, quadratic, quadraticReference } from './problems.js';

beforeAll(() => onBackend('cpu'));

/** Finite differences of plain SGD with rate 0.5 by hand, the last line as given. */
function byHand(
  combine: (p: tf.Tensor, n: tf.Tensor, epsilon: number, rate: number) => tf.Tensor,
): Estimator {
  return (problem) => {
    const { theta, phi } = problem;
    const names = Object.keys(theta);
    const inner = (values: tf.Tensor[], by: tf.Tensor[]) =>
      problem.inner(
        Object.fromEntries(names.map((name, i) => [name, values[i]!])),
        (inputs = {}, make = (all) => all) =>
          make(Object.fromEntries(Object.keys(phi).map((name, i) => [name, by[i]!])), inputs),
        0,
      );
    const [at, hyper] = [Object.values(theta), Object.values(phi)];
    // Problems whose `make` takes nothing from θ, so nothing has to be held fixed here.
    const g = tf.grads((...values) => inner(values, hyper))(at);
    const after = at.map((each, i) => tf.sub(each, tf.mul(g[i]!, 0.5)));
    const outerAt = (values: tf.Tensor[]) =>
      problem.outer(Object.fromEntries(names.map((name, i) => [name, values[i]!])), phi);
    const v = tf.grads((...values) => outerAt(values))(after);
    const norm = Math.sqrt(
      v.reduce((sum, each) => sum + tf.sum(tf.square(each)).dataSync()[0]!, 0),
    );
    const epsilon = 0.01 / norm;
    const side = (sign: number) =>
      tf.grads((...by) =>
        inner(
          at.map((each, i) => tf.add(each, tf.mul(v[i]!, sign * epsilon))),
          by,
        ),
      )(hyper);
    const [p, n] = [side(1), side(-1)];
    const gradients = Object.fromEntries(
      Object.keys(phi).map((name, i) => [name, combine(p[i]!, n[i]!, epsilon, 0.5)]),
    );
    return { gradients, outer: outerAt(after) };
  };
}

const right = byHand((p, n, epsilon, rate) => tf.mul(tf.sub(p, n), -rate / (2 * epsilon)));

/** The distillation problem without features in its soft targets. */
function problem(): BilevelProblem {
  const { inner, ...rest } = distillation(sgd({ learningRate: 0.5 }));
  return {
    ...rest,
    inner: (theta, made, step) =>
      inner(
        theta,
        (inputs, make) => made({}, (phi) => make!(phi, { features: tf.ones([12, 4]) })),
        step,
      ),
  };
}

describe('verify catches', () => {
  const check = async (faulty: Estimator, on = problem()) => {
    const estimators = { faulty, exact: unroll };
    const { results } = await verify(on, { estimators, runs: 1 });
    const [bad, exact] = results;
    expect(exact).toMatchObject({ estimator: 'exact' });
    expect(exact!.cosine).toBeGreaterThan(0.99999);
    expect(exact!.relativeError).toBeLessThan(1e-3);
    return bad!;
  };

  test('nothing in an estimator that is right', async () => {
    const { cosine, relativeError } = await check(right);
    expect(cosine).toBeGreaterThan(0.99999);
    expect(relativeError).toBeLessThan(1e-3);
  });

  test('(p − n)/2·ε in place of (p − n)/(2ε)', async () => {
    const faulty = byHand((p, n, epsilon, rate) => tf.mul(tf.sub(p, n), (-rate / 2) * epsilon));
    expect((await check(faulty)).relativeError).toBeGreaterThan(0.9);
  });

  test('a wrong sign of η', async () => {
    const faulty = byHand((p, n, epsilon, rate) => tf.mul(tf.sub(p, n), rate / (2 * epsilon)));
    expect((await check(faulty)).cosine).toBeLessThan(-0.99);
  });

  test('an unroll that drops the momentum', async () => {
    const rate = { learningRate: 0.3 };
    const withMomentum = quadratic({ optimizer: sgd({ ...rate, momentum: 0.9 }), steps: 3 });
    const faulty: Estimator = (each) => unroll({ ...each, optimizer: sgd(rate) });
    const { cosine, relativeError } = await check(faulty, withMomentum);
    expect(Math.min(cosine, 1 - relativeError)).toBeLessThan(0.7);
  });
});

test('the table says everything, and why an estimator does not apply', async () => {
  const { text, failed, results } = await verify(quadratic(), { runs: 1 });
  expect(text.split('\n')[0]).toMatch(
    /^estimator +cosine +relative error +ms +peak tensors +peak kB$/,
  );
  expect(text).toMatch(
    /^finite-difference +1\.0000000 +\d\.\de-\d ± \d\.\de-\d +[\d.]+ +\d+ +[\d.]+$/m,
  );
  expect(text).toMatch(
    /^reference: differences of the outer loss, step [\d.]+ in φ, 3 directions$/m,
  );
  expect(text).toMatch(/^within the reference's uncertainty: unroll$/m);
  expect(failed).toEqual({ 'first-order': expect.stringContaining('no-gradient') as string });
  expect(text).toContain('first-order: estimator');
  const [byDifferences, , exact] = results;
  expect(exact!.peakTensors).toBeGreaterThan(byDifferences!.peakTensors);
  expect(exact!.peakBytes).toBeGreaterThan(0);
});

test('a problem without a derivative is told, not divided by', async () => {
  const flat = quadratic({ inner: ({ w }) => tf.sum(tf.square(w!)) });
  await expect(verify(flat)).rejects.toMatchObject({ code: 'bilevel/no-gradient' });
});

test('takes random directions where φ is large, the same in every run, and leaks nothing', async () => {
  const problem = distillation();
  const run = (seed: number) =>
    verify(problem, { estimators: { finiteDifference }, directions: 5, seed, runs: 1 });
  const [a, b, c] = [await run(1), await run(1), await run(2)].map(({ results }) => results[0]!);
  expect(a!.relativeError).toBe(b!.relativeError);
  expect(a!.relativeError).not.toBe(c!.relativeError);
  expect(await tensorsLeakedBy(() => run(1))).toBe(0);
});

describe('the uncertainty of the reference', () => {
  const exact = { estimators: { unroll }, directions: 12, runs: 1 };

  test.each([1, 2])(
    'covers what kinks of ReLU do to it, which a fixed step does not tell (seed %i)',
    async (seed) => {
      const { results, reference } = await verify(kinked(seed), exact);
      expect(results[0]!.withinUncertainty).toBe(true);
      expect(reference.uncertainty).toBeLessThan(0.05);
      expect(reference.compared + reference.skipped).toBe(12);
    },
  );

  test('a direction with a kink at φ itself is left out, though differences of every step agree', async () => {
    const problem = quadratic({
      outer: ({ w }, { centre }) => {
        const kink = tf.sum(tf.abs(tf.sub(centre!, tf.tensor1d([1.5, 1, 1]))));
        return tf.add(tf.sum(tf.square(w!)), tf.mul(kink, 0.1));
      },
    });
    const { reference, text } = await verify(problem, exact);
    expect(reference).toMatchObject({ compared: 2, skipped: 1 });
    expect(text).toContain('2 directions, 1 left out (kinks)');
  });

  test('is small on a smooth problem, and grows where a given step is too small or too large', async () => {
    const at = async (step?: number) => {
      const { reference } = await verify(distillation(), { ...exact, step });
      return reference.uncertainty!;
    };
    const chosen = await at();
    expect(chosen).toBeLessThan(1e-3);
    expect(await at(1e-4)).toBeGreaterThan(10 * chosen);
    expect(await at(2)).toBeGreaterThan(10 * chosen);
  });

  test('bounds the error of differences of a closed form', async () => {
    const closed: Estimator = ({ theta }) => ({
      gradients: { centre: tf.tensor1d(quadraticReference()) },
      outer: tf.sum(theta['w']!),
    });
    const { results, reference } = await verify(quadratic(), {
      estimators: { closed },
      runs: 1,
    });
    expect(results[0]).toMatchObject({ withinUncertainty: true });
    expect(reference).toMatchObject({ kind: 'differences', compared: 3, skipped: 0 });
  });

  test('is what tells a wrong estimator from a rough reference', async () => {
    const off: Estimator = (problem) => {
      const { gradients, outer } = unroll(problem);
      const [[name, gradient]] = Object.entries(gradients) as [[string, tf.Tensor]];
      return { gradients: { ...gradients, [name]: tf.mul(gradient, 1.01) }, outer };
    };
    const { results } = await verify(distillation(), { ...exact, estimators: { off, unroll } });
    expect(results.map(({ withinUncertainty }) => withinUncertainty)).toEqual([false, true]);
  });

  test('steps so far that the outer loss is not finite are not taken', async () => {
    const narrow = quadratic({ outer: ({ w }) => tf.sum(tf.log(tf.sub(w!, -0.8))) });
    const { results, reference } = await verify(narrow, exact);
    expect(reference.uncertainty).toBeLessThan(0.01);
    expect(results[0]!.withinUncertainty).toBe(true);
    await expect(verify(narrow, { step: 100 })).rejects.toMatchObject({
      code: 'bilevel/not-finite',
    });
  });
});

describe('an estimator as the reference', () => {
  test.each([['unroll' as const], [unroll]])(
    '%o: number by number, to rounding',
    async (reference) => {
      const problem = kinked(1);
      const options = { estimators: { unroll, finiteDifference }, reference, runs: 1 };
      const { results, reference: told, text } = await verify(problem, options);
      expect(results[0]!.relativeError).toBe(0);
      expect(results[1]!.relativeError).toBeGreaterThan(0);
      expect(told).toEqual({
        kind: 'estimator',
        uncertainty: undefined,
        compared: 88,
        skipped: 0,
      });
      expect(text).toContain('reference: an estimator, 88 numbers of φ');
      expect(await tensorsLeakedBy(() => verify(problem, options))).toBe(0);
    },
  );

  test('one that finds nothing is refused', async () => {
    const nothing: Estimator = ({ theta }) => ({ gradients: {}, outer: tf.sum(theta['w']!) });
    await expect(verify(quadratic(), { reference: nothing })).rejects.toMatchObject({
      code: 'bilevel/no-gradient',
    });
  });
});
