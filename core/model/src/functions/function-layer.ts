import { EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { layerPaths } from '../weights/parameters.js';
import { shareVariable } from '../weights/shared.js';
import { runChecked } from './check-results.js';

type Shape = readonly (number | null)[];

/** A function as a layer needs it. */
export interface LayerFunction {
  readonly name: string;
  readonly params: Readonly<Record<string, Variable>>;
  /** Of a batch of inputs, in the order of the model's. */
  run(params: NamedTensors, inputs: readonly Tensor[], training: boolean): unknown;
  /** Shapes of what it returns, batch first, by name. */
  readonly outputs: Readonly<Record<string, Shape>>;
}

/** A function of parameters as a layer, whose weights hold the caller's variables. */
export class FunctionLayer extends tfl.layers.Layer {
  static readonly className = 'Function';
  readonly #function: LayerFunction;
  readonly #weights: Readonly<Record<string, LayerVariable>>;

  constructor(fn: LayerFunction) {
    super({ name: fn.name });
    this.#function = fn;
    const weights = Object.entries(fn.params).map(([name, variable]) => [
      name,
      this.#hold(name, variable),
    ]);
    this.#weights = Object.fromEntries(weights) as Record<string, LayerVariable>;
    this.built = true;
  }

  override call(inputs: Tensor | Tensor[], kwargs: Readonly<Record<string, unknown>>): Tensor[] {
    return tf.tidy(() => {
      const { run, outputs } = this.#function;
      const values = Object.entries(this.#weights).map(([name, weight]) => [name, weight.read()]);
      const params = Object.fromEntries(values) as NamedTensors;
      const given = [inputs].flat();
      const made = () => run(params, given, kwargs['training'] === true);
      const tensors = runChecked(made, given[0]!.shape[0]!);
      return Object.entries(outputs).map(([name, shape]) => checkShape(name, tensors[name], shape));
    });
  }

  override computeOutputShape(): tfl.Shape[] {
    return Object.values(this.#function.outputs).map((shape) => [...shape]);
  }

  override getConfig(): never {
    throw noLayersError(this.name);
  }

  /** A weight that is its variable, `trainable` included. */
  #hold(name: string, variable: Variable): LayerVariable {
    const floats = variable.dtype === 'float32';
    const zeros = tfl.initializers.zeros();
    const weight = this.addWeight(name, variable.shape, variable.dtype, zeros, undefined, floats);
    Object.defineProperty(weight, 'trainable', {
      get: () => floats && variable.trainable,
      set: (trainable: boolean) => (variable.trainable = trainable),
    });
    shareVariable(weight, variable, variable);
    return weight;
  }
}

/**
 * Refuses a model with a function among its layers: it has no layers that could be edited.
 *
 * @throws EspalierError `model/no-layers`.
 */
export function refuseFunctions(model: LayersModel): void {
  const found = layerPaths(model).find(([layer]) => layer instanceof FunctionLayer);
  if (found) throw noLayersError(found[1]);
}

function noLayersError(name: string): EspalierError {
  return new EspalierError('model/no-layers', {
    problem: `the model is the function '${name}' of its parameters (makeFunctionModel), which has no layers that could be edited, copied or saved`,
    fix: 'Leave out plugins that change the structure (exits, compression), and read the trained values from your variables; or build the model from layers.',
  });
}

function checkShape(name: string, made: Tensor | undefined, shape: Shape): Tensor {
  const fits = made && made.shape.length === shape.length;
  if (fits && shape.every((size, i) => size === null || size === made.shape[i])) return made;
  const expected = shape.map((size, i) => size ?? (i === 0 ? 'batch' : 'any')).join(', ');
  throw new EspalierError('model/apply', {
    problem: `apply was tried with zeros and returned ${name === '' ? 'a tensor' : `'${name}'`} of shape [${expected}]; for this batch it returned something else`,
    received: made,
    fix: 'Return the same outputs for every batch.',
  });
}
