import { EspalierError, matches, computeShares } from '@espalier/core';
import type { Batch, NamedTensors, NetworkCall, PluginContext } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { refuseUnmatched, weighTerm } from './outer-terms.js';
import type { OuterTerms } from './outer-terms.js';
import type { BilevelProblem, FromPhi } from './problem.js';

/** What evaluates the loss of a run: a session, or a plugin's context. */
export type Evaluator = Pick<PluginContext, 'objective' | 'parameters'>;

/** Parts the trainable parameters of a run. */
export function splitParameters(run: Evaluator, patterns: readonly string[]) {
  const all = Object.entries(run.parameters({ trainable: true }));
  const phi = all.filter(([path]) => matches(patterns, path));
  const theta = all.filter(([path]) => !matches(patterns, path));
  if (phi.length > 0 && theta.length > 0) {
    return { theta: Object.fromEntries(theta), phi: Object.fromEntries(phi) };
  }
  throw new EspalierError('bilevel/variables', {
    problem:
      phi.length === 0
        ? "no trainable parameter's path matches the option variables"
        : 'the option variables matches every trainable parameter, so nothing is left for the inner loss',
    received: patterns,
    fix: `The paths are ${all.map(([path]) => path).join(', ')}.`,
  });
}

/** What is outer in a run, and the batches of one outer step. */
export interface RunProblemOptions {
  /** Paths of the outer variables; `*` at the end stands for anything. */
  readonly variables: readonly string[];
  /** The micro-batches of the virtual inner step. */
  readonly microBatches: readonly Batch[];
  readonly outer: Batch;
  /** Terms that make the outer loss, likewise, by their unweighted values: a list, or the weight of each. */
  readonly loss: OuterTerms;
  /** What makes the virtual inner step; where φ is in it (learned rates): a function of φ. */
  readonly optimizer: BilevelProblem['optimizer'];
}

/**
 * The loss of a run as a bilevel problem: φ are weights of plugins' networks or of the model, θ all
 * other weights that train.
 *
 * @throws EspalierError `bilevel/variables` where φ or θ is empty; when evaluated: `bilevel/loss`.
 * @example
 * const [microBatches, outer] = [[await session.batch(a, 'a')], await session.batch(b, 'b')];
 * const variables = ['label-generator:*'];
 * const problem = runProblem(session, {
 *   variables, microBatches, outer, loss: ['task/*'], optimizer: sgd({ learningRate: 0.1 }),
 * });
 * console.log((await verify(problem)).text);
 */
export function runProblem(
  run: Evaluator,
  { variables, microBatches, outer, loss, optimizer }: RunProblemOptions,
): BilevelProblem {
  const { theta, phi } = splitParameters(run, variables);
  const isOuter = ({ parameters }: NetworkCall) => parameters.some((path) => path in phi);
  const direct = Object.keys(phi).filter((path) => !path.includes(':'));
  const shares = computeShares(microBatches);
  return {
    theta,
    phi,
    optimizer,
    inner(values, made) {
      const own = direct.length === 0 ? {} : made({}, (all) => pick(all, direct));
      const networks = groupNetworks(made, isOuter);
      const parts = microBatches.map((batch, i) =>
        tf.mul(run.objective(batch, { params: { ...values, ...own }, networks }), shares[i]!),
      );
      return tf.addN(parts) as Scalar;
    },
    outer(values, hyper) {
      const names: string[] = [];
      const terms = ({ name }: { readonly name: string }) => {
        names.push(name);
        return weighTerm(loss, name);
      };
      // Detached from the loss of the run, but not from the outer loss, which trains them.
      const networks = (call: NetworkCall) => (isOuter(call) ? call.run(call.inputs) : undefined);
      const total = run.objective(outer, { params: { ...values, ...hyper }, terms, networks });
      refuseUnmatched(loss, names);
      return total;
    },
  };
}

/** Runs the networks that φ parametrises through `made`, and others as ever. */
function groupNetworks(made: FromPhi, isOuter: (call: NetworkCall) => boolean) {
  return (call: NetworkCall) =>
    isOuter(call) ? made(call.inputs, (phi, inputs) => call.run(inputs, phi)) : undefined;
}

function pick(all: NamedTensors, names: readonly string[]): NamedTensors {
  return Object.fromEntries(names.map((name) => [name, all[name]!]));
}
