import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { numberDuplicates } from '../graph/names.js';
import { intercept } from '../run/intercept.js';
import { listHeldLayers } from '../weights/held-layers.js';
import { canonicalNames } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';

/** A penalty that a layer puts on one of its parameters. */
export interface Regularizer {
  /** Path of the parameter; `<path>#2` for a second penalty on one parameter. */
  readonly path: string;
  /**
   * How often `LayersModel.fit` adds it: once for each call of its layer, and never where a wrapper
   * or an RNN hides it.
   */
  readonly timesInTfjs: number;
  /** The penalty at the value that its parameter has when read. */
  penalty(): Scalar;
}

/** What tfjs keeps of a regularizer: a function that reads the variable. */
type LayerLoss = () => Scalar;

interface Found {
  readonly loss: LayerLoss;
  readonly layer: string;
}

/**
 * Every regularizer of a model once, wherever its layer stands: in nested models, in wrappers, in
 * cells of an RNN.
 *
 * @throws EspalierError `model/activity-regularizer`, `model/layer-loss`.
 */
export function listRegularizers(
  model: LayersModel,
  paths: ReadonlyMap<LayerVariable, string>,
): readonly Regularizer[] {
  const found = [...canonicalNames(model)].flatMap(([layer, name]) => lossesUnder(layer, name));
  const losses = new Map(found.map(({ loss, layer }) => [loss, layer]));
  const times = timesInTfjs(model);
  const named = [...losses].flatMap(([loss, layer]) => {
    const read = variablesRead(loss, layer);
    const known = read.filter((variable) => paths.has(variable));
    const [first] = [...known.filter(({ trainable }) => trainable), ...known];
    const path = first && paths.get(first);
    // Of a layer that another one only refers to: none of its parameters is in this model.
    return path === undefined ? [] : [{ loss, path }];
  });
  const names = numberDuplicates(named.map(({ path }) => path));
  return named.map(({ loss }, i) => ({
    path: names[i]!,
    timesInTfjs: times.get(loss) ?? 0,
    penalty: loss,
  }));
}

/** The losses of a layer and of the layers that it holds. */
function lossesUnder(layer: Layer, name: string, seen = new Set<Layer>()): Found[] {
  if (seen.has(layer)) return [];
  seen.add(layer);
  if (layer.activityRegularizer) throw activity(name);
  const { _losses: own } = layer as unknown as { readonly _losses: readonly LayerLoss[] };
  return [
    ...own.map((loss) => ({ loss, layer: name })),
    ...listHeldLayers(layer).flatMap((held) => lossesUnder(held, name, seen)),
  ];
}

/** Which variables a loss reads; it is computed once for that. */
function variablesRead(loss: LayerLoss, layer: string): readonly LayerVariable[] {
  const read: LayerVariable[] = [];
  const note = (variable: LayerVariable) => void read.push(variable);
  const watch = { layers: new Map<Layer, string>(), read: note, write: () => false };
  try {
    tf.tidy(() => void intercept(watch, loss));
  } catch (cause) {
    throw unusableError(layer, cause);
  }
  if (read.length === 0) throw unusableError(layer);
  return read;
}

/** As `LayersModel.calculateLosses` counts. */
function timesInTfjs(model: LayersModel, times = new Map<LayerLoss, number>()) {
  for (const layer of model.layers) {
    const calls = layer.inboundNodes.filter((_, i) =>
      model.containerNodes.has(`${layer.name}_ib-${i}`),
    );
    calls.forEach(() => {
      if (layer instanceof tfl.LayersModel) timesInTfjs(layer, times);
      else layer.losses.forEach((loss) => times.set(loss, (times.get(loss) ?? 0) + 1));
    });
  }
  return times;
}

function activity(layer: string): EspalierError {
  return new EspalierError('model/activity-regularizer', {
    problem: `layer '${layer}' has an activityRegularizer, which tfjs cannot compute`,
    fix: 'Leave it out, and add the penalty as a loss term of a plugin that asks for the features of the layer.',
  });
}

function unusableError(layer: string, cause?: unknown): EspalierError {
  return new EspalierError('model/layer-loss', {
    problem: `layer '${layer}' adds a loss that ${cause ? 'fails without a batch' : 'reads none of its weights'}, so it cannot be a term of the objective`,
    fix: 'Use addLoss for penalties on weights only; other losses belong in the loss tap of a plugin.',
    ...(cause !== undefined && { cause }),
  });
}
