import { installGradients } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activate, testBackends } from './backends.js';
import { problemOf } from './cases.js';
import type { Case } from './cases.js';
import { cases } from './cases/index.js';
import { expectGradient, expectHessian } from './checks.js';
import type { Problem } from './differences.js';

describe.each(testBackends)('on %s', (backend) => {
  let uninstall: () => void;
  beforeAll(async () => {
    await activate(backend);
    uninstall = installGradients();
  });
  afterAll(() => uninstall());

  const runs = ({ kernel }: Case) => !kernel || tf.getKernel(kernel, backend) !== undefined;

  test.for(cases)('the gradient of $name', (one, { skip }) => {
    skip(!runs(one), `${backend} has no kernel for it`);
    skip(one.refusedBy?.includes(backend) === true, `${backend} refuses these arguments`);
    expectGradient(problemOf(one));
  });

  const twice = cases.filter(({ orders }) => !orders || orders.includes(2));
  test.for(twice)('the Hessian of $name, and no tensor left', (one, { skip }) => {
    skip(!runs(one), `${backend} has no kernel for it`);
    skip(one.refusedBy?.includes(backend) === true, `${backend} refuses these arguments`);
    const problem = problemOf(one);
    buildLayers(problem);
    const before = tf.memory().numTensors;
    expectHessian(problem);
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** A layer makes its variables when it first runs. */
function buildLayers({ fn, shapes }: Problem): void {
  tf.tidy(() => void fn(...shapes.map((shape) => tf.zeros(shape))));
}
