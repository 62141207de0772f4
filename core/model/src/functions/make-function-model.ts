import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { withRandom } from '../with-random.js';
import { checkOptions, refuseTwice } from './check-options.js';
import { runChecked } from './check-results.js';
import { FunctionLayer } from './function-layer.js';
import type { LayerFunction } from './function-layer.js';

/** Shape of one example, without the batch; null where a length is open. */
export type ExampleShape = readonly (number | null)[];
/** Of one input, or of several by name. */
export type InputShapes = ExampleShape | Readonly<Record<string, ExampleShape>>;
/** A tensor, or tensors by the names of the inputs; batch first. */
export type FunctionInputs<I extends InputShapes> = I extends ExampleShape
  ? Tensor
  : { readonly [K in keyof I]: Tensor };

/** The values of parameters by name. */
export type ParameterValues<P extends Readonly<Record<string, Variable>>> = {
  readonly [K in keyof P]: P[K] extends Variable<infer R> ? Tensor<R> : Tensor;
};

/** What a function model is made from. */
export interface FunctionModelOptions<
  P extends Readonly<Record<string, Variable>>,
  I extends InputShapes,
> {
  /** The parameters: they stay the caller's, and are trained in place. */
  readonly params: P;
  /** One shape, without the batch, or one for each input by name. */
  readonly inputShape: I;
  /** Default float32; `int32` for ids. */
  readonly inputDtype?: 'float32' | 'int32';
  /** The function's name: of its parameters (`<name>/w`), and of a single output. Default `apply`. */
  readonly name?: string;
  /**
   * The model: synchronous, differentiable, without variables beside `params`. It gets the values of the
   * parameters by name, those of a nested evaluation where there is one, and a batch of inputs.
   */
  apply(
    params: ParameterValues<P>,
    x: FunctionInputs<I>,
    how: { readonly training: boolean },
  ): Tensor | NamedTensors;
}

/**
 * A function of variables as a model, for a program that has no layers: its weights hold the caller's
 * variables, and its outputs are what `apply` returns, by name if it names them. The shapes of outputs come
 * from a run on zeros. It has no layers to edit, copy or save; disposing it leaves the variables alive.
 *
 * @throws EspalierError `model/function` where an option is not what it has to be; `model/apply` where `apply`
 * throws, or returns anything but tensors with a row for each example.
 * @example
 * const [w, b] = [tf.variable(tf.zeros([784, 10])), tf.variable(tf.zeros([10]))];
 * const model = makeFunctionModel({
 *   params: { w, b },
 *   apply: ({ w, b }, x) => tf.add(tf.matMul(x, w), b),
 *   inputShape: [784],
 * });
 * const session = await createSession({ model, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }) });
 */
export function makeFunctionModel<
  const P extends Readonly<Record<string, Variable>>,
  const I extends InputShapes,
>(options: FunctionModelOptions<P, I>): LayersModel {
  checkOptions(options as unknown as Readonly<Record<string, unknown>>);
  const { params, inputShape, inputDtype: dtype = 'float32', name = 'apply' } = options;
  const alone = Array.isArray(inputShape);
  const shapes = (alone ? { input: inputShape } : inputShape) as Record<string, ExampleShape>;
  const names = Object.keys(shapes);
  const run: LayerFunction['run'] = (values, inputs, training) => {
    const x = alone ? inputs[0]! : Object.fromEntries(names.map((key, i) => [key, inputs[i]!]));
    const given = values as ParameterValues<P>;
    return options.apply(given, x as FunctionInputs<I>, { training });
  };
  const outputs = findShapes((length) => {
    const zeros = Object.values(shapes).map((shape) => zerosOf(shape, length, dtype));
    return run(params, zeros, false);
  }, Object.values(shapes));
  refuseTwice([...names, name, ...Object.keys(outputs)]);
  const inputs = names.map((key) => tfl.input({ name: key, shape: [...shapes[key]!], dtype }));
  const layer = new FunctionLayer({ name, params, run, outputs });
  const made = [layer.apply(inputs)].flat() as SymbolicTensor[];
  return tfl.model({ inputs, outputs: nameOutputs(made, Object.keys(outputs)) });
}

/** Examples of the runs that tell shapes, and lengths where they are open. */
const EXAMPLES = 2;
const LENGTHS = [4, 5];

/** Shapes of outputs, batch first: null where a length follows from an open one. */
function findShapes(
  run: (length: number) => unknown,
  inputs: readonly ExampleShape[],
): Readonly<Record<string, ExampleShape>> {
  const open = inputs.some((shape) => shape.includes(null));
  const [first, other = first] = LENGTHS.slice(0, open ? 2 : 1).map((length) =>
    listShapes(() => run(length)),
  );
  const names = Object.keys(first!);
  return Object.fromEntries(
    names.map((name) => {
      const [shape, again] = [first![name]!, other![name] ?? []];
      return [name, shape.map((size, i) => (i > 0 && size === again[i] ? size : null))];
    }),
  );
}

function listShapes(run: () => unknown): Readonly<Record<string, readonly number[]>> {
  const shapes: Record<string, readonly number[]> = {};
  tf.tidy(() => {
    const tensors = withRandom(
      () => 0.5,
      () => runChecked(run, EXAMPLES),
    );
    for (const [name, { shape }] of Object.entries(tensors)) shapes[name] = shape;
  });
  return shapes;
}

function zerosOf(shape: ExampleShape, length: number, dtype: 'float32' | 'int32'): Tensor {
  return tf.zeros([EXAMPLES, ...shape.map((size) => size ?? length)], dtype);
}

/** A layer behind each output that has a name: outputs are called by their layers. */
function nameOutputs(made: readonly SymbolicTensor[], names: readonly string[]): SymbolicTensor[] {
  return made.map((tensor, i) => {
    const name = names[i]!;
    if (name === '') return tensor;
    return tfl.layers.activation({ name, activation: 'linear' }).apply(tensor) as SymbolicTensor;
  });
}
