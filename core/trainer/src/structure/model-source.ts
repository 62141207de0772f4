import { EspalierError, twoCopiesError } from '@espalier/base';
import {
  disposeModel,
  listOwnNames,
  noteExistingWeights,
  takeOwnModel,
  withKeyedInit,
} from '@espalier/model';
import type { OwnNames, StreamByKey } from '@espalier/model';
import { LayersModel } from '@tensorflow/tfjs-layers';

/**
 * A model, or a function that makes one, called without arguments. A model stays the caller's: the run
 * trains its weights in place and never disposes it. Where plugins change the structure, the run's model holds
 * the variables of the layers that stay. What a function makes is the run's, and disposed with it; initial weights then
 * come from keyed streams. Where a function gives weights that existed before it was called (a trained
 * model, layers of one), the run works on a copy of the whole, and leaves them as they are.
 */
export type ModelSource = LayersModel | (() => LayersModel | Promise<LayersModel>);

/** The model to run, and whether the run has to dispose it. */
export interface ModelForRun {
  readonly model: LayersModel;
  readonly mine: boolean;
  /** The names that its layers have for who gave it. */
  readonly ownNames: OwnNames;
}

/**
 * Takes a model, or lets a function make it.
 *
 * @throws EspalierError `session/model`, `session/two-tfjs`, and what `takeOwnModel` throws.
 */
export async function takeModel(source: ModelSource, stream: StreamByKey): Promise<ModelForRun> {
  if (typeof source !== 'function') {
    checkModel(source);
    return { model: source, mine: false, ownNames: listOwnNames(source) };
  }
  const existing = noteExistingWeights();
  const made = await calling(() => keyedInit(stream, source));
  checkModel(made);
  const ownNames = listOwnNames(made);
  return { model: takeOwnModel(made, existing, stream), mine: true, ownNames };
}

/** The same for a plugin's own network, which must be there at once. */
export function takeNetwork(
  make: () => LayersModel,
  stream: StreamByKey,
  plugin: string,
): LayersModel {
  const existing = noteExistingWeights();
  const made = keyedInit(stream, make, plugin);
  checkModel(made, 'addNetwork takes a function that returns a tf.LayersModel at once');
  return takeOwnModel(made, existing, stream);
}

/** Runs `make` with initial weights from streams that go by owner (`model` or a plugin), layer and weight. */
export function keyedInit<T>(stream: StreamByKey, make: () => T, owner = 'model'): T {
  return withKeyedInit((layer, weight) => stream(owner, layer, weight), make);
}

/** Disposes a model that turns out to be of no use. */
export function orDispose<T>(model: LayersModel, use: () => T): T {
  try {
    return use();
  } catch (error) {
    disposeModel(model);
    throw error;
  }
}

/** A function of tensors, say, throws: it gets no argument. */
async function calling<T>(make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('session/model', {
      problem: `the function given as model, called without arguments, threw: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: `${NO_FUNCTION_OF_TENSORS} ${EXAMPLE}`,
      cause,
    });
  }
}

const EXAMPLE = 'Pass model: () => tf.sequential({ layers: [ … ] }).';
const NO_FUNCTION_OF_TENSORS =
  'It makes the model, and is no function of tensors: for operations of your own, write a layer class.';

function checkModel(
  model: unknown,
  problem = 'model must be a tf.LayersModel or a function that returns one',
): asserts model is LayersModel {
  if (model instanceof LayersModel) return;
  const { predict, executeAsync } = (model ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof executeAsync === 'function') throw graphModel();
  if (typeof predict === 'function') throw twoCopiesError('the model');
  throw new EspalierError('session/model', {
    problem,
    received: model,
    fix: typeof model === 'function' ? `${NO_FUNCTION_OF_TENSORS} ${EXAMPLE}` : EXAMPLE,
  });
}

function graphModel(): EspalierError {
  return new EspalierError('session/model', {
    problem: 'the model is a tf.GraphModel: a converted graph, whose weights do not train',
    fix: 'Use the tf.LayersModel that it was converted from (tf.loadLayersModel).',
  });
}
