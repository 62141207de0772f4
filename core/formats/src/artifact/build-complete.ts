import { EspalierError } from '@espalier/base';
import { buildModel, disposeModel, listParameters } from '@espalier/model';
import type { ModelGraph } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { withValuesOnly } from '../values-only.js';

/**
 * Builds the model of a graph that has a value for each of its weights. No initial values are
 * drawn, and layers that ask for more numbers than the graph has are stopped before they get them.
 *
 * @throws EspalierError `artifact/weights` when weights are missing or left over, and what
 * `buildModel` throws. Nothing is left behind.
 */
export function buildComplete(graph: ModelGraph): LayersModel {
  const numbers = Object.values(graph.weights).reduce((sum, { size }) => sum + size, 0);
  const tooMany = (weight: string) =>
    mismatchError(`the topology asks for more numbers than there are at '${weight}'`);
  const model = withValuesOnly(numbers, tooMany, () => buildModel(graph));
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

function mismatchError(problem: string): EspalierError {
  return new EspalierError('artifact/weights', {
    problem: `weights and topology of the artifact do not belong together: ${problem}`,
    fix: 'Import the plugins in the versions that its manifest names, or take another copy.',
  });
}
