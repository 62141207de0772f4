import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { LayersModel } from '@tensorflow/tfjs-layers';
import { Network } from '../run/network.js';
import { orUndo } from '../weights/existing-weights.js';
import { constrain, hasConstraint } from '../weights/layer-variables.js';
import { carryTraining } from '../weights/model-watch.js';
import { layerPaths } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import type { StreamByKey } from '../with-random.js';
import { buildModel } from './build.js';
import { extractGraph } from './graph.js';
import { hasOpenLengths, probeInputs } from './probe.js';

/**
 * A copy of a model that computes what the model computes: built from its graph, and compared with it
 * on a made-up batch, for inference and in training, to the bit: the outputs of all layers, moving
 * statistics, constraints and regularizers. `stream` gives inputs and random masks. The caller owns the
 * copy; nothing is left behind when it throws.
 *
 * @throws EspalierError `model/rebuild` naming the layer where the two first differ, or why they cannot
 * be compared; what {@link extractGraph} and {@link buildModel} throw.
 * @example
 * const copy = copyModel(model, (...key) => keyedRng(0, ...key));
 */
export function copyModel(model: LayersModel, stream: StreamByKey): LayersModel {
  return orUndo(() => {
    const copy = buildModel(extractGraph(model));
    carryTraining(model, copy);
    tf.tidy(() => compare(model, copy, stream));
    return copy;
  });
}

/** What was computed somewhere in a run, and where that is. */
interface Observation {
  readonly place: string;
  readonly shape: readonly number[];
  readonly values: ArrayLike<unknown>;
}

function compare(model: LayersModel, copy: LayersModel, stream: StreamByKey): void {
  const { inputs, seen } = firstRun(model, stream);
  refuseDifference(seen, () => observe(copy, { inputs, stream, training: false }));
  refuseDifference(rulesOn(model), () => rulesOn(copy));
  // What fails in training fails at the first step, by name; here it is no reason to refuse.
  const trained = attempt(() => observe(model, { inputs, stream, training: true }));
  if (trained instanceof Error) return;
  refuseDifference(trained, () => observe(copy, { inputs, stream, training: true }));
}

function refuseDifference(
  seen: readonly Observation[],
  observeAgain: () => readonly Observation[],
): void {
  const again = attempt(observeAgain);
  if (again instanceof Error) throw differs('the copy cannot be run', again);
  const i = seen.findIndex((each, j) => !isSame(each, again[j]));
  const place = seen[i]?.place ?? again[seen.length]?.place;
  if (place !== undefined) throw differs(`the first difference is ${place}`);
}

/** Lengths to try where they are open: a convolution needs some, a network of poolings needs more. */
const LENGTHS = [5, 16, 64];

function firstRun(model: LayersModel, stream: StreamByKey) {
  const failures: Error[] = [];
  for (const length of hasOpenLengths(model) ? LENGTHS : LENGTHS.slice(0, 1)) {
    const inputs = probeInputs(model, stream('rebuild', 'inputs'), length);
    const seen = attempt(() => observe(model, { inputs, stream, training: false }));
    if (!(seen instanceof Error)) return { inputs, seen };
    failures.push(seen);
  }
  const cause = failures.at(-1)!;
  throw new EspalierError('model/rebuild', {
    problem: `the model has to be built again, and cannot be compared with its copy, because it cannot be run on a made-up batch: ${cause.message}`,
    fix: 'Let its layers take any numbers of the shape and dtype that its inputs declare; an embedding of your own names its number of rows inputDim in getConfig().',
    cause,
  });
}

interface Probe {
  readonly inputs: readonly Tensor[];
  readonly stream: StreamByKey;
  readonly training: boolean;
}

/** What every layer gives, in the order of the calls, and the moving statistics that come of it. */
function observe(model: LayersModel, { inputs, stream, training }: Probe): readonly Observation[] {
  const network = new Network(model);
  const classes = new Map(layerPaths(model).map(([layer, path]) => [path, nameClass(layer)]));
  const fed = Object.fromEntries(network.inputNames.map((name, i) => [name, inputs[i]!]));
  const when = training ? 'in training' : 'for inference';
  const seen: Observation[] = [];
  const statistics = new Map<string, Tensor>();
  try {
    network.execute(fed, {
      training,
      writes: statistics,
      random: (layer) => stream('rebuild', layer),
      observe: (layer, outputs) => {
        const place = `what layer '${layer}' (${classes.get(layer)}) gives ${when}`;
        seen.push(...outputs.map((output) => observation(place, output)));
      },
    });
    const moved = [...statistics].map(([path, value]) =>
      observation(`the new value of '${path}' ${when}`, value),
    );
    return [...seen, ...moved];
  } finally {
    tf.dispose([...statistics.values()]);
  }
}

/** What constraints and regularizers make of weights. */
function rulesOn(model: LayersModel): readonly Observation[] {
  const { parameters, regularizers } = new Network(model);
  return [
    ...parameters.map(({ path, variable, shape }) => {
      const place = `the constraint of '${path}'`;
      // Numbers for all of a large weight would take as much memory as the weight.
      if (!hasConstraint(variable)) return { place, shape: [], values: [] };
      const made = tf.range(1, 1 + tf.util.sizeFromShape([...shape]));
      const value = constrain(variable, path, tf.reshape(made, [...shape]));
      return observation(place, value);
    }),
    ...regularizers.map(({ path, penalty }) =>
      observation(`the regularizer of '${path}'`, penalty()),
    ),
  ];
}

function observation(place: string, tensor: Tensor): Observation {
  return { place, shape: tensor.shape, values: tensor.dataSync() };
}

/** A nested Sequential becomes a Model. */
function nameClass(layer: Layer): string {
  return layer instanceof LayersModel ? 'model' : layer.getClassName();
}

function isSame(a: Observation, b: Observation | undefined): boolean {
  if (a.place !== b?.place || !tf.util.arraysEqual([...a.shape], [...b.shape])) return false;
  for (let i = 0; i < a.values.length; i++) {
    if (!Object.is(a.values[i], b.values[i])) return false;
  }
  return true;
}

function attempt<T>(run: () => T): T | Error {
  try {
    return run();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function differs(what: string, cause?: Error): EspalierError {
  return new EspalierError('model/rebuild', {
    problem: `the model has to be built again, but built from its configuration it computes something else: ${what}${cause ? `: ${cause.message}` : ''}`,
    fix: 'getConfig() of a layer class must return every option that its constructor needs, and all that it has learned must be weights made by addWeight.',
    ...(cause && { cause }),
  });
}
