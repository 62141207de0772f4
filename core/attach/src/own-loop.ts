import { twoCopiesError } from '@espalier/base';
import { EspalierError } from '@espalier/core';
import { makeFunctionModel } from '@espalier/model';
import type { FunctionModelOptions, InputShapes } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Variable } from '@tensorflow/tfjs-core';
import { LayersModel, model as makeModel } from '@tensorflow/tfjs-layers';
import type { ModelCompileArgs } from '@tensorflow/tfjs-layers';

interface OwnLoss {
  /** As `model.compile` takes it: a name, a function `(yTrue, yPred)`, or one for each output. */
  readonly loss: ModelCompileArgs['loss'];
  /** For `run.step`; `run.loss` goes without, since the loop has an optimizer of its own. */
  readonly optimizer?: tf.Optimizer;
}

/** A model that a loop of one's own trains; it need not be compiled. */
export interface ModelInOwnLoop extends OwnLoss {
  readonly model: LayersModel;
}

type Variables = Readonly<Record<string, Variable>>;

/** Variables and what they compute, without a model: the options of `makeFunctionModel`, and a loss. */
export type FunctionInOwnLoop<P extends Variables, I extends InputShapes> = OwnLoss &
  FunctionModelOptions<P, I>;

/** What a loop of one's own trains. */
export type OwnLoop = ModelInOwnLoop | FunctionInOwnLoop<Variables, InputShapes>;

/**
 * A compiled model over the layers, or the variables, that a loop of one's own trains.
 *
 * @throws EspalierError `attach/own-loop`.
 */
export function compileOwnLoop(given: OwnLoop): LayersModel {
  checkOwnLoop(given);
  const model = 'model' in given ? copyGraph(given.model) : makeFunctionModel(given);
  const { optimizer = tf.train.sgd(0), loss } = given;
  model.compile({ optimizer, loss });
  return model;
}

/** Another model on the same layers: what is compiled into it leaves the caller's as it is. */
function copyGraph({ inputs, outputs, name }: LayersModel): LayersModel {
  return makeModel({ inputs, outputs, name });
}

/** @throws EspalierError `session/two-tfjs` for a model of another copy of TensorFlow.js. */
function refuseForeignModel(given: unknown): void {
  const { predict, trainOnBatch } = (given ?? {}) as Partial<LayersModel>;
  if (typeof predict !== 'function' || typeof trainOnBatch !== 'function') return;
  if (!(given instanceof LayersModel)) throw twoCopiesError('the model');
}

function checkOwnLoop(given: OwnLoop): void {
  const { model, params, apply, loss } = (given ?? {}) as Partial<
    ModelInOwnLoop & FunctionInOwnLoop<Variables, InputShapes>
  >;
  refuseForeignModel(given);
  refuseForeignModel(model);
  const known = model instanceof LayersModel || (params && typeof apply === 'function');
  if (known && loss) return;
  throw new EspalierError('attach/own-loop', {
    problem: known
      ? 'attach: a loop of your own needs a loss'
      : 'attach takes a compiled tf.LayersModel, { model, loss }, or { params, apply, loss, inputShape }',
    received: given,
    fix: known
      ? "Give loss: 'meanSquaredError', say, or a function (yTrue, yPred)."
      : 'Compile the model first, or give these fields.',
  });
}
