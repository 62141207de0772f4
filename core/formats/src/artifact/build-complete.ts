import { EspalierError } from '@espalier/base';
import { buildModel, disposeModel, listParameters } from '@espalier/model';
import type { ModelGraph } from '@espalier/model';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

type AddWeight = (
  name: string,
  shape: readonly (number | null)[],
  dtype: unknown,
  initializer: unknown,
  ...rest: unknown[]
) => unknown;

/** Where every layer makes its weights; protected in tfjs. */
const layers = tfl.layers.Layer.prototype as unknown as { addWeight: AddWeight };

/**
 * Builds the model of a graph that has a value for each of its weights. No initial values are
 * drawn, and layers that ask for more numbers than the graph has are stopped before they get them.
 *
 * @throws EspalierError `artifact/weights` when weights are missing or left over, and what
 * `buildModel` throws. Nothing is left behind.
 */
export function buildComplete(graph: ModelGraph): LayersModel {
  const model = withValuesOnly(graph, () => buildModel(graph));
  const paths = new Set(listParameters(model).map(({ path }) => path));
  const missing = [...paths].filter((path) => !(path in graph.weights));
  const unknown = Object.keys(graph.weights).filter((path) => !paths.has(path));
  if (missing.length + unknown.length === 0) return model;
  disposeModel(model);
  const said = [
    ...missing.map((path) => `'${path}' is missing`),
    ...unknown.map((path) => `'${path}' is no weight of the model`),
  ];
  throw mismatchError(said.slice(0, 5).join(', ') + (said.length > 5 ? ', …' : ''));
}

function withValuesOnly<T>({ weights }: ModelGraph, build: () => T): T {
  const { addWeight } = layers;
  let left = Object.values(weights).reduce((sum, { size }) => sum + size, 0);
  layers.addWeight = function (name, shape, dtype, _initializer, ...rest) {
    left -= shape.reduce<number>((size, n) => size * Number(n), 1);
    if (!(left >= 0))
      throw mismatchError(`the topology asks for more numbers than there are at '${name}'`);
    return addWeight.call(this, name, shape, dtype, tfl.initializers.zeros(), ...rest);
  };
  try {
    return build();
  } finally {
    layers.addWeight = addWeight;
  }
}

function mismatchError(problem: string): EspalierError {
  return new EspalierError('artifact/weights', {
    problem: `weights and topology of the artifact do not belong together: ${problem}`,
    fix: 'Import the plugins in the versions that its manifest names, or take another copy.',
  });
}
