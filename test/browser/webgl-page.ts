import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-webgl';
import { keepBackend } from '@espalier/backend';
import { EspalierError, resolvePreset } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { problemOf } from '../../core/backend/test/gradients/cases.js';
import type { Case } from '../../core/backend/test/gradients/cases.js';
import { images } from '../../core/backend/test/gradients/cases/images.js';
import { cases } from '../../core/backend/test/gradients/cases/index.js';
import { layers } from '../../core/backend/test/gradients/cases/layers.js';
import { products } from '../../core/backend/test/gradients/cases/products.js';
import {
  directions,
  gradient,
  hessianVector,
} from '../../core/backend/test/gradients/differences.js';
import type { Problem } from '../../core/backend/test/gradients/differences.js';
import { relativeError } from '../../core/backend/test/gradients/errors.js';
import { layerTable } from '../../core/backend/test/layers/table.js';
import { notFinite, trainOnce } from '../../core/backend/test/layers/train-once.js';
import { trainTinyCnn } from './webgl-run.js';

/** What became of a session that was made on webgl. */
export interface Kept {
  readonly before: string;
  readonly after: string;
  readonly line: string;
  readonly losses: readonly number[];
}

/** A page that computes on webgl makes a session and says nothing of backends. */
async function keepWebgl(): Promise<Kept> {
  await tf.setBackend('webgl');
  const before = tf.getBackend();
  const { losses, line } = await trainTinyCnn();
  return { before, after: tf.getBackend(), line, losses };
}

/** The code of the error with which a session is refused. */
async function refusal(make: () => Promise<unknown>): Promise<string> {
  try {
    await make();
    return 'none';
  } catch (error) {
    if (error instanceof EspalierError) return `${error.message}`;
    throw error;
  }
}

/** In 16 bits, as on cards that render no 32-bit floats. */
async function trainInHalfPrecision(): Promise<string> {
  tf.env().set('WEBGL_FORCE_F16_TEXTURES', true);
  await tf.setBackend('webgl');
  return refusal(keepBackend);
}

/** What a page is told that names a preset. */
const nameAPreset = () => refusal(() => resolvePreset('@espalier/preset-baselines#byot'));

const has = ({ kernel }: Case) => !kernel || tf.getKernel(kernel, 'webgl') !== undefined;

/** How far gradients by webgl are from those by cpu, which are tested against differences, by case. */
export interface GradientErrors {
  readonly first: Readonly<Record<string, number>>;
  readonly second: Readonly<Record<string, number>>;
}

async function gradientErrors(every: boolean): Promise<GradientErrors> {
  const some = [...images.filter((_, i) => i % 3 === 0), ...layers, ...products];
  const run = (every ? cases : some).filter(has);
  const once = run.filter(({ orders = [2] }) => !orders.includes(2));
  const twice = run.filter((one) => !once.includes(one));
  const along = (problem: Problem) => hessianVector(problem, directions(problem, 1, 13)[0]!);
  const on = async (backend: 'cpu' | 'webgl') => {
    await tf.setBackend(backend);
    const { dispose } = await keepBackend();
    const values = { first: valuesOf(once, gradient), second: valuesOf(twice, along) };
    dispose();
    return values;
  };
  const [webgl, cpu] = [await on('webgl'), await on('cpu')];
  return { first: errors(webgl.first, cpu.first), second: errors(webgl.second, cpu.second) };
}

type Values = Readonly<Record<string, Float64Array>>;

function valuesOf(some: readonly Case[], compute: (problem: Problem) => Float64Array): Values {
  return Object.fromEntries(some.map((one) => [one.name, compute(problemOf(one))]));
}

const errors = (actual: Values, expected: Values) =>
  Object.fromEntries(
    Object.entries(actual).map(([name, values]) => [
      name,
      relativeError([...values], [...expected[name]!]),
    ]),
  );

/** The layers that do not train on webgl, with what happened. */
async function layersThatFail(): Promise<readonly string[]> {
  await tf.setBackend('webgl');
  const { dispose } = await keepBackend();
  const failures = layerTable.flatMap((one) => {
    try {
      tf.engine().startScope();
      const { gradients, trained, after } = trainOnce(one);
      const spoilt = notFinite([...gradients, ...after]).length;
      return gradients.length === trained && spoilt === 0 ? [] : [one.className];
    } catch (error) {
      return [`${one.className}: ${String(error)}`];
    } finally {
      tf.engine().endScope();
    }
  });
  dispose();
  return failures;
}

Object.assign(globalThis, {
  keepWebgl,
  trainInHalfPrecision,
  nameAPreset,
  gradientErrors,
  layersThatFail,
});
