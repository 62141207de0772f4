import { adam, chain, clipByGlobalNorm, EspalierError } from '@espalier/core';
import type { GradientTransform, NamedTensors, OwnOptimizer, PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { getService, TRANSFORM } from './get-service.js';
import { OuterVariables } from './outer-variables.js';
import { mapTensors } from './tensor-math.js';
import { OUTER_OPTIMIZER } from './tokens.js';

/** What moves φ by hypergradients. Synchronous; the caller keeps the gradients. */
export interface OuterOptimizer {
  /** A step of the gradients times `factor`. */
  move(phi: NamedTensors, gradients: NamedTensors, factor: number): void;
  /** φ is another one now. */
  follow(phi: NamedTensors): void;
  /** What a checkpoint holds of it; live tensors. */
  readonly saved: NamedTensors;
  restore(steps: number, saved: NamedTensors, phi: NamedTensors): void;
  /** @throws EspalierError `bilevel/outer-optimizer` where no checkpoint can hold its state. */
  refuseUnresumable(): void;
  dispose(): void;
}

type OuterHost = Pick<PluginContext, 'has' | 'get' | 'assign' | 'optimizerOf'>;

interface Chosen {
  readonly learningRate?: number | undefined;
  readonly clip?: number | undefined;
}

/**
 * The optimizer that a plugin has for φ where one has; else what is bound, or Adam.
 *
 * @throws EspalierError `bilevel/binding`, `bilevel/two-optimizers`, `optim/split`.
 */
export function chooseOuter(
  host: OuterHost,
  phi: readonly string[],
  { learningRate, clip }: Chosen,
): OuterOptimizer {
  const bound = getService(host, OUTER_OPTIMIZER, TRANSFORM);
  const own = host.optimizerOf(phi);
  const given = [
    ...(own ? [`the one of plugin '${own.plugin}', which has them (${own.name})`] : []),
    ...(bound ? [`what is bound to '${OUTER_OPTIMIZER.name}'`] : []),
    ...(learningRate === undefined ? [] : [`Adam at the option learningRate, ${learningRate}`]),
  ];
  if (given.length > 1) throw severalError(given);
  const clipping = clip === undefined ? [] : [clipByGlobalNorm(clip)];
  if (own) return stepThrough(own, clipping);
  return makeOuter(
    host,
    chain(...clipping, bound ?? adam({ learningRate: learningRate ?? 1e-3 })),
    bound,
  );
}

/** Steps of the optimizer that a plugin has; the run keeps its state. */
function stepThrough(own: OwnOptimizer, clipping: readonly GradientTransform[]): OuterOptimizer {
  const nothing = () => undefined;
  return {
    move: (phi, gradients, factor) =>
      tf.tidy(() => {
        const clip = (given: NamedTensors, by: GradientTransform) =>
          by.update(given, {}, phi, { step: 0 }).updates;
        own.step(clipping.reduce(clip, scale(gradients, factor)));
      }),
    follow: nothing,
    saved: {},
    restore: nothing,
    refuseUnresumable: nothing,
    dispose: nothing,
  };
}

function makeOuter(
  { assign }: OuterHost,
  optimizer: GradientTransform,
  bound: GradientTransform | undefined,
): OuterOptimizer {
  const variables = new OuterVariables();
  return {
    move: (phi, gradients, factor) =>
      tf.tidy(() => {
        const next = variables.computeStep(phi, scale(gradients, factor), optimizer);
        assign(next, { update: true });
      }),
    follow: (phi) => tf.tidy(() => variables.follow(optimizer.init(phi))),
    get saved() {
      return variables.saved;
    },
    restore: (steps, saved, phi) =>
      tf.tidy(() => variables.restore(steps, saved, optimizer.init(phi))),
    refuseUnresumable() {
      if (optimizer.resumable !== false) return;
      throw new EspalierError('bilevel/outer-optimizer', {
        problem: `the outer optimizer '${bound?.name}' keeps state that no checkpoint can hold`,
        fix: 'Use one of the framework (sgd, adam, …), or train without checkpoints.',
      });
    },
    dispose: () => variables.dispose(),
  };
}

function scale(gradients: NamedTensors, factor: number): NamedTensors {
  return factor === 1 ? gradients : mapTensors(gradients, (each) => tf.mul(each, factor));
}

function severalError(given: readonly string[]): EspalierError {
  return new EspalierError('bilevel/two-optimizers', {
    problem: `the outer variables have several optimizers: ${given.join('; ')}`,
    fix: 'Keep one. Where a plugin has an optimizer for them, set the rate there.',
  });
}
