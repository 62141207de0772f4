import { extractGraph, findOwner, listParameters } from '@espalier/model';
import type { GraphConfig, ModelGraph, Topology } from '@espalier/model';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';

/** Weights by path that a model built anew holds too. */
export type Shared = ReadonlyMap<string, LayerVariable>;

/**
 * The weights of a model that an edited graph took over as they are, of whole layers: where one of them
 * got a new value, what the layer was goes on without it.
 */
export function listTakenOver(model: LayersModel, before: ModelGraph, after: ModelGraph): Shared {
  const { config } = before.topology;
  const changed = new Set(
    Object.keys(before.weights)
      .filter((path) => before.weights[path] !== after.weights[path])
      .map((path) => findOwner(config, path)),
  );
  return listWeights(model, (path) => !changed.has(findOwner(config, path)));
}

/** The weights of those layers of a model that a topology describes in the same way, frozen or not. */
export function listUnchanged(model: LayersModel, topology: Topology): Shared {
  return listWeights(model, staysIn(extractGraph(model).topology, topology, withoutTrainable));
}

/** Whether a path is of a layer that is the same in both, or of no layer: the model itself. */
export function staysIn(
  { config }: Topology,
  { config: edited }: Topology,
  replacer?: (key: string, value: unknown) => unknown,
): (path: string) => boolean {
  const describeLayers = ({ layers }: GraphConfig) =>
    new Map(
      layers.map(({ name, ...rest }) => [
        name,
        JSON.stringify([rest.className, rest.config], replacer),
      ]),
    );
  const [was, is] = [describeLayers(config), describeLayers(edited)];
  return (path) => {
    const layer = findOwner(config, `${path}/`);
    return layer === undefined || was.get(layer) === is.get(layer);
  };
}

const withoutTrainable = (key: string, value: unknown) => (key === 'trainable' ? undefined : value);

function listWeights(model: LayersModel, wanted: (path: string) => boolean): Shared {
  const parameters = listParameters(model).filter(({ path }) => wanted(path));
  return new Map(parameters.map(({ path, variable }) => [path, variable]));
}
