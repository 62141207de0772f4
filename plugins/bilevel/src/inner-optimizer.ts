import { EspalierError } from '@espalier/core';
import type { GradientTransform, PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { z } from 'zod';
import { getService, INNER_TRANSFORM } from './get-service.js';
import type { bilevelOptions } from './options.js';
import type { BilevelProblem } from './problem.js';
import { mapTensors } from './tensor-math.js';
import { INNER_OPTIMIZER } from './tokens.js';

type InnerOptions = Pick<z.output<typeof bilevelOptions>, 'innerOptimizer' | 'innerLearningRate'>;
type InnerHost = Pick<PluginContext, 'has' | 'get' | 'runOptimizer'>;

/**
 * What makes the virtual step of the next optimizer step. Undefined where the run's rates are all 0: nothing
 * moves then, and no outer step has a meaning.
 *
 * @param theta Paths of the inner variables.
 * @throws EspalierError `bilevel/binding`, `bilevel/inner-optimizer`, `bilevel/inner-rate`.
 */
export function chooseInner(
  host: InnerHost,
  { innerOptimizer, innerLearningRate }: InnerOptions,
  theta: readonly string[],
): BilevelProblem['optimizer'] | undefined {
  const bound = getService(host, INNER_OPTIMIZER, INNER_TRANSFORM);
  if (bound) {
    refuseBeside(innerOptimizer !== 'sgd' || innerLearningRate !== 'run');
    return bound;
  }
  if (innerOptimizer === 'run') {
    refuseRate(innerLearningRate);
    return refuseImpure(host.runOptimizer());
  }
  if (innerLearningRate !== 'run') return descendAt(() => innerLearningRate);
  const rates = readRates(host.runOptimizer(), theta);
  const moves = [...rates.values()].some((rate) => rate > 0);
  return moves ? descendAt((path) => rates.get(path) ?? 0) : undefined;
}

/** SGD at a rate for each path. */
function descendAt(rate: (path: string) => number): GradientTransform {
  return {
    name: 'sgd',
    init: () => ({}),
    update: (gradients, state) => ({
      updates: mapTensors(gradients, (gradient, path) => tf.mul(gradient, -rate(path))),
      state,
    }),
    learningRate: (_, path) => rate(path),
  };
}

/** The run's rate of each parameter at the next step. */
function readRates(run: GradientTransform, theta: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    theta.map((path) => [path, run.learningRate?.(0, path) ?? throwUnknownRate(run, path)]),
  );
}

function throwUnknownRate({ name }: GradientTransform, path: string): never {
  throw new EspalierError('bilevel/inner-rate', {
    problem: `the virtual step follows the run's learning rate, and the optimizer of the run (${name}) does not tell that of '${path}'`,
    fix: 'Set innerLearningRate to a number, or give the optimizer a learningRate(step, path), as those of the framework have (fromTfOptimizer has none; tfjs.convert has).',
  });
}

function refuseBeside(given: boolean): void {
  if (!given) return;
  throw innerError(
    `an optimizer is bound to '${INNER_OPTIMIZER.name}', and the options say innerOptimizer or innerLearningRate too`,
    'Give one of them.',
  );
}

function refuseRate(rate: InnerOptions['innerLearningRate']): void {
  if (rate === 'run') return;
  throw innerError(
    `innerOptimizer: 'run' makes the virtual step at the run's own rate, and innerLearningRate is ${rate}`,
    "Leave innerLearningRate out, or set innerOptimizer: 'sgd'.",
  );
}

function refuseImpure(run: GradientTransform): GradientTransform {
  if (run.resumable !== false) return run;
  throw innerError(
    `innerOptimizer: 'run' needs a step that moves nothing, and the optimizer of the run (${run.name}) keeps state of its own`,
    "Use one of the framework (tfjs.convert makes one), or innerOptimizer: 'sgd' with a number as innerLearningRate.",
  );
}

function innerError(problem: string, fix: string): EspalierError {
  return new EspalierError('bilevel/inner-optimizer', { problem, fix });
}
