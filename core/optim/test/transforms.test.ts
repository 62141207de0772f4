import type { OptimizerState, GradientTransform } from '@espalier/optim';
import {
  adam,
  adamw,
  applyUpdates,
  byGroup,
  chain,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  ema,
  emaParams,
  fromTfOptimizer,
  restrict,
  withName,
  perParameter,
  rmsprop,
  scale,
  scaleByLearningRate,
  sgd,
  tfjs,
  trace,
} from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { GRADIENTS, PARAMS, SHAPES } from './battery.js';
import type { Values } from './support.js';
import { begin, mapValues, toTensors, toValues, train } from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const slotNames = (transform: GradientTransform) => Object.keys(begin(transform, PARAMS).slots);
const code = (expected: string) => expect.objectContaining({ code: expected });
const firstUpdates = (transform: GradientTransform, grads = GRADIENTS[0] ?? {}): Values =>
  tf.tidy(() => {
    const params = toTensors(PARAMS);
    const slots = transform.init(params);
    return toValues(transform.update(toTensors(grads), slots, params, { step: 0 }).updates);
  });
const norm = (...tensors: ({ data: Float32Array } | undefined)[]) =>
  Math.hypot(...tensors.flatMap((tensor) => [...(tensor?.data ?? [])]));

it('optimizers say their names', () => {
  const all = [sgd({ learningRate: 0.1, momentum: 0.9 }), adam(), adamw(), rmsprop()];
  expect(all.map(({ name }) => name)).toEqual(['sgd', 'adam', 'adamw', 'rmsprop']);
});

describe('slot names', () => {
  it('come from names, so that another transform in front renames nothing', () => {
    expect(slotNames(adam())).toEqual(['adam/m', 'adam/v']);
    expect(slotNames(chain(clipByNorm(1), chain(adam()), ema(0.9)))).toEqual([
      'adam/m',
      'adam/v',
      'ema/average',
    ]);
  });

  it('of two transforms of one name are refused, and named() is the way out', () => {
    const twice = () => chain(trace({ momentum: 0.9 }), scale(2), trace({ momentum: 0.5 }));
    expect(twice).toThrow(code('optim/duplicate-slot'));
    expect(twice).toThrow(/'trace\/b'.*named\('x', transform\)/);
    const both = chain(trace({ momentum: 0.9 }), withName('outer', trace({ momentum: 0.5 })));
    expect(slotNames(both)).toEqual(['trace/b', 'outer/trace/b']);
  });

  it('let a renamed transform compute what it did', () => {
    const renamed = withName('x', adam());
    const plain = train(adam(), begin(adam(), PARAMS), GRADIENTS);
    const other = train(renamed, begin(renamed, PARAMS), GRADIENTS);
    expect(other.params).toEqual(plain.params);
    expect(other.slots).toEqual({
      'x/adam/m': plain.slots['adam/m'],
      'x/adam/v': plain.slots['adam/v'],
    });
  });

  it('that are not there are named in the error', () => {
    const update = () =>
      tf.tidy(() => adam().update(toTensors(PARAMS), {}, toTensors(PARAMS), { step: 0 }));
    expect(update).toThrow(code('optim/missing-slot'));
    expect(update).toThrow(/'a\/kernel'.*migrateOptimizerState/);
  });
});

describe('masked and byGroup', () => {
  const inA = (path: string) => path.startsWith('a/');

  it('pass other gradients through bit-exactly and keep no slots for them', () => {
    const updates = firstUpdates(restrict(adam(), inA));
    expect(updates['b/kernel']).toEqual(GRADIENTS[0]?.['b/kernel']);
    expect(updates['b/gain']).toEqual(GRADIENTS[0]?.['b/gain']);
    expect(updates['a/kernel']).toEqual(firstUpdates(adam())['a/kernel']);
    expect(Object.keys(begin(restrict(adam(), inA), PARAMS).slots['adam/m'] ?? {})).toEqual([
      'a/kernel',
      'a/bias',
    ]);
  });

  it('route each path to its group alone', () => {
    const groups = {
      a: adam({ learningRate: 0.05 }),
      rest: sgd({ learningRate: 0.1, momentum: 0.9 }),
    };
    const both = byGroup(groups, (path) => (inA(path) ? 'a' : 'rest'));
    const end = train(both, begin(both, PARAMS), GRADIENTS);
    const onlyA = train(groups.a, begin(groups.a, PARAMS), GRADIENTS);
    const onlyRest = train(groups.rest, begin(groups.rest, PARAMS), GRADIENTS);
    for (const path of Object.keys(SHAPES)) {
      expect(end.params[path]).toEqual((inA(path) ? onlyA : onlyRest).params[path]);
    }
    expect(Object.keys(end.slots)).toEqual(['a/adam/m', 'a/adam/v', 'rest/trace/b']);
  });

  it('clip by the norm of one group only', () => {
    const clipped = byGroup({ a: clipByGlobalNorm(0.1), rest: chain() }, (path) =>
      inA(path) ? 'a' : 'rest',
    );
    const updates = firstUpdates(clipped);
    expect(norm(updates['a/kernel'], updates['a/bias'])).toBeCloseTo(0.1, 6);
    expect(updates['b/kernel']).toEqual(GRADIENTS[0]?.['b/kernel']);
  });

  it('refuse an unknown group and suggest one', () => {
    const make = () =>
      begin(
        byGroup({ head: adam(), body: adam() }, () => 'haed'),
        PARAMS,
      );
    expect(make).toThrow(code('optim/unknown-group'));
    expect(make).toThrow(/'a\/kernel'.*'haed'.*Did you mean 'head'/);
  });
});

describe('clipping', () => {
  it('bounds the elements, each norm or the joint norm', () => {
    const byValue = firstUpdates(clipByValue(0.1));
    const each = firstUpdates(clipByNorm(0.3));
    const all = firstUpdates(clipByGlobalNorm(0.3));
    for (const path of Object.keys(SHAPES)) {
      expect(Math.max(...(byValue[path]?.data ?? []).map(Math.abs))).toBeLessThanOrEqual(
        Math.fround(0.1),
      );
      expect(norm(each[path])).toBeLessThan(0.3 + 1e-6);
    }
    expect(norm(...Object.values(all))).toBeCloseTo(0.3, 6);
  });

  it('leaves short gradients bit-exact and zero gradients finite', () => {
    const zeros = mapValues(GRADIENTS[0] ?? {}, ({ shape, data }) => ({
      shape,
      data: data.map(() => 0),
    }));
    for (const clip of [clipByValue(100), clipByNorm(100), clipByGlobalNorm(100)]) {
      expect(firstUpdates(clip)).toEqual(GRADIENTS[0]);
      expect(firstUpdates(clip, zeros)).toEqual(zeros);
      expect(firstUpdates(clip, {})).toEqual({});
    }
  });
});

describe('ema', () => {
  it('averages the parameters after each update, as the plain recursion does', () => {
    const decay = (step: number) => Math.min(0.9, (1 + step) / (10 + step));
    const optimizer = chain(sgd({ learningRate: 0.1 }), ema(decay), ema(0.5, 'fast'));
    const reference = mapValues(PARAMS, ({ data }) => ({
      p: [...data],
      slow: [...data],
      fast: [...data],
    }));
    GRADIENTS.forEach((grads, step) => {
      for (const [path, r] of Object.entries(reference)) {
        r.p = r.p.map((p, i) => p - 0.1 * (grads[path]?.data[i] ?? 0));
        r.slow = r.slow.map((a, i) => decay(step) * a + (1 - decay(step)) * (r.p[i] ?? 0));
        r.fast = r.fast.map((a, i) => 0.5 * a + 0.5 * (r.p[i] ?? 0));
      }
    });
    const { slots } = train(optimizer, begin(optimizer, PARAMS), GRADIENTS);
    const read = (name: string) =>
      tf.tidy(() => toValues(emaParams(mapValues(slots, toTensors) as OptimizerState, name)));
    for (const [path, { slow, fast }] of Object.entries(reference)) {
      slow.forEach((a, i) => expect(read('ema')[path]?.data[i]).toBeCloseTo(a, 5));
      fast.forEach((a, i) => expect(read('fast')[path]?.data[i]).toBeCloseTo(a, 5));
    }
  });

  it('is read over all groups together, and missed with a hint', () => {
    const optimizer = byGroup({ a: ema(0.9), b: ema(0.5) }, (path) => path.slice(0, 1));
    const found = tf.tidy(() => Object.keys(emaParams(optimizer.init(toTensors(PARAMS)))));
    expect(found.sort()).toEqual(Object.keys(SHAPES).sort());
    expect(() => emaParams({})).toThrow(code('optim/no-ema'));
  });
});

describe('a transform of one’s own', () => {
  it('takes a few lines with perParameter', () => {
    const sign = perParameter('sign', [], () => (grad) => [tf.sign(grad)]);
    const updates = firstUpdates(chain(sign, scaleByLearningRate(0.5)));
    expect([...(updates['b/gain']?.data ?? [])]).toEqual([
      -0.5 * Math.sign(GRADIENTS[0]?.['b/gain']?.data[0] ?? 0),
    ]);
  });
});

describe('cost', () => {
  const kernelsOf = async (transform: GradientTransform) => {
    tf.engine().startScope();
    const params = { p: tf.ones([4]) };
    const slots = transform.init(params);
    const profile = await tf.profile(() => {
      transform.update(params, slots, params, { step: 3 });
      return tf.scalar(0);
    });
    tf.engine().endScope();
    return profile.kernels.length;
  };

  it.each([
    ['sgd', sgd({ learningRate: 0.1 }), 1],
    ['sgd with momentum', sgd({ learningRate: 0.1, momentum: 0.9 }), 3],
    ['nesterov', sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }), 5],
    ['adam', adam(), 9],
    ['adamw', adamw(), 11],
    ['rmsprop', rmsprop(), 8],
  ])('%s takes no more kernels per parameter than stated', async (_, transform, kernels) => {
    expect(await kernelsOf(transform)).toBe(kernels);
  });
});

describe('applyUpdates', () => {
  it('adds updates to their parameters, leaves out the others, and disposes nothing', () => {
    const params = { a: tf.tensor1d([1, 2]), b: tf.scalar(3) };
    const updates = { a: tf.tensor1d([0.5, -2]) };
    const next = applyUpdates(params, updates);
    expect(Object.keys(next)).toEqual(['a']);
    expect(next['a']!.arraySync()).toEqual([1.5, 0]);
    expect(params.a.arraySync()).toEqual([1, 2]);
    tf.dispose([params, updates, next]);
  });

  it('refuses an update of a path that is no parameter', () => {
    tf.tidy(() => {
      const apply = () => applyUpdates({ a: tf.scalar(1) }, { b: tf.scalar(1) });
      expect(apply).toThrow(code('optim/missing-parameter'));
      expect(apply).toThrow(/'b' has an update.*Received: \["a"\]/);
    });
  });
});

describe('bad options', () => {
  it.each<[string, () => GradientTransform, RegExp]>([
    ['a learning rate of 0', () => sgd({ learningRate: 0 }), /sgd.*learningRate.*positive.*0/],
    ['a negative rate', () => adam({ learningRate: -1 }), /adam.*learningRate.*positive.*-1/],
    ['NaN', () => scaleByLearningRate(NaN), /learningRate.*positive/],
    ['momentum of 1', () => trace({ momentum: 1 }), /momentum/],
    ['b1 out of range', () => adam({ b1: 1.2 }), /b1.*1\.2/],
    ['eps of 0', () => rmsprop({ eps: 0 }), /eps/],
    ['negative decay', () => adamw({ weightDecay: -0.1 }), /weightDecay.*-0\.1/],
    ['nesterov alone', () => sgd({ learningRate: 0.1, nesterov: true }), /nesterov needs momentum/],
    ['no limit', () => clipByValue(0), /clipByValue/],
    ['no norm', () => clipByGlobalNorm(-1), /clipByGlobalNorm/],
    [
      'a misspelt option',
      () => sgd({ learningRate: 0.1, ...{ momentun: 0.9 } }),
      /momentun.*Did you mean 'momentum'/,
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(code('options/invalid'));
    expect(make).toThrow(message);
  });

  it('a schedule that gives no number names its step', () => {
    const bad = sgd({ learningRate: (step) => 1 / (step - 2) });
    expect(() => train(bad, begin(bad, PARAMS), GRADIENTS)).toThrow(/at step 2.*Infinity/);
  });
});

describe('learningRate', () => {
  const at = (transform: GradientTransform, path = 'a', step = 3) =>
    transform.learningRate?.(step, path);
  const halving = (step: number) => 0.5 ** step;

  it.each<[string, GradientTransform, number | undefined]>([
    ['sgd', sgd({ learningRate: halving, momentum: 0.9, weightDecay: 0.1 }), 0.125],
    ['adam', adam({ learningRate: halving, weightDecay: 0.1 }), 0.125],
    ['adamw', adamw({ learningRate: 0.25, mask: () => false }), 0.25],
    ['rmsprop', rmsprop({ learningRate: 0.25, momentum: 0.5 }), 0.25],
    ['tfjs.sgd', tfjs.sgd({ learningRate: halving }), 0.125],
    ['tfjs.momentum', tfjs.momentum({ learningRate: 0.25, momentum: 0.5 }), 0.25],
    ['tfjs.adam', tfjs.adam({ learningRate: halving }), 0.125],
    ['tfjs.adamax', tfjs.adamax({ learningRate: 1, decay: 1 }), 0.25],
    ['tfjs.rmsprop', tfjs.rmsprop({ learningRate: 0.25 }), 0.25],
    ['tfjs.adagrad', tfjs.adagrad({ learningRate: 0.25 }), 0.25],
    ['tfjs.adadelta', tfjs.adadelta({ learningRate: 0.25 }), 0.25],

    [
      'the product of a chain',
      chain(clipByGlobalNorm(1), sgd({ learningRate: 1 }), ema(0.9), scale(halving)),
      0.125,
    ],
    ['a factor below 0', chain(clipByNorm(1), clipByValue(1), scale(-0.5)), 0.5],
    ['under another name', withName('x', sgd({ learningRate: 0.25 })), 0.25],
    ['what is restricted to others', restrict(sgd({ learningRate: 0.25 }), () => false), 1],
    ['unknown: an optimizer of tfjs', fromTfOptimizer(() => tf.train.sgd(0.1)), undefined],
    [
      'unknown: a chain with one',
      chain(
        fromTfOptimizer(() => tf.train.sgd(0.1)),
        scale(0.5),
      ),
      undefined,
    ],
    [
      'unknown: a transform that does not tell',
      perParameter('mine', [], () => (g) => [g]),
      undefined,
    ],
  ])('%s', (_, transform, rate) => {
    expect(at(transform)).toBe(rate);
  });

  it('is known of an optimizer that was converted', () => {
    expect(at(tfjs.convert(tf.train.sgd(0.25)))).toBe(0.25);
    expect(at(tfjs.convert(tf.train.sgd(0.25), { learningRate: halving }))).toBe(0.125);
  });

  it('is that of the group', () => {
    const groups = {
      body: sgd({ learningRate: 0.25 }),
      head: fromTfOptimizer(() => tf.train.sgd(1)),
    };
    const grouped = byGroup(groups, (path) => (path === 'a' ? 'body' : 'head'));
    expect([at(grouped), at(grouped, 'b')]).toEqual([0.25, undefined]);
  });
});
