import { isPlain } from '@espalier/base';
import type { GraphConfig, LayerEntry } from './graph.js';
import { canonicalise, withoutOwner } from './names.js';

/** A model's configuration as tfjs writes it: `Model` or `Sequential`. */
interface ModelConfig {
  readonly layers: readonly LayerConfig[];
  readonly inputLayers?: readonly Ref[];
  readonly outputLayers?: readonly Ref[];
}

interface LayerConfig {
  readonly name?: string;
  readonly className: string;
  readonly config: { readonly name: string };
  readonly inboundNodes?: readonly (readonly Ref[])[];
}

type Ref = readonly [layer: string, ...rest: unknown[]];

/**
 * Gives layers of models inside of a layer's configuration (of a wrapper, of a layer of one's own)
 * names that are equal in every build. `owner` is the name that the layer has in tfjs.
 */
export function canonicaliseInside(value: unknown, owner: string): unknown {
  return mapModels(value, owner, ({ layers }, by) => {
    const owners = layers.map(nameIn);
    const names = withoutOwner(owners, by);
    const named = layers.map(({ className }, i) => ({ className, name: names[i]! }));
    return { names: canonicalise(named), owners };
  });
}

/**
 * The same topology with names that occur once in it, however deep: tfjs saves weights by the names of
 * their layers alone. A name that occurs twice becomes `<name>.of.<owner>` where it is nested.
 */
export function nameUniquely(config: GraphConfig): GraphConfig {
  const counts = new Map<string, number>();
  const count = (value: unknown): void => {
    if (isModel(value)) {
      const names = value.layers.map(nameIn);
      names.forEach((name) => counts.set(name, (counts.get(name) ?? 0) + 1));
    }
    if (typeof value === 'object' && value !== null) Object.values(value).forEach(count);
  };
  count(config);
  const unique = (value: unknown, owner: string): unknown =>
    mapModels(value, owner, ({ layers }, by) => {
      const names = layers
        .map(nameIn)
        .map((name) => (counts.get(name)! > 1 ? `${name}.of.${by}` : name));
      return { names, owners: names };
    });
  const layers = config.layers.map((entry) => ({
    ...entry,
    config: unique(entry.config, entry.name) as LayerEntry['config'],
  }));
  return { ...config, layers };
}

/** New names of a model's layers, and the names that they have in tfjs as owners of what is inside. */
interface Named {
  readonly names: readonly string[];
  readonly owners: readonly string[];
}

/** Renames the layers of every model in a value; `by` is the layer that holds the model. */
function mapModels(
  value: unknown,
  owner: string,
  namesFor: (model: ModelConfig, by: string) => Named,
): unknown {
  if (Array.isArray(value)) return value.map((each) => mapModels(each, owner, namesFor));
  if (!isPlain(value)) return value;
  if (!isModel(value)) {
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, each]) => [key, mapModels(each, owner, namesFor)]),
    );
  }
  const { names, owners } = namesFor(value, owner);
  const renamed = rename(value, names);
  const layers = renamed.layers.map((layer, i) => ({
    ...layer,
    config: mapModels(layer.config, owners[i]!, namesFor),
  }));
  return { ...renamed, layers };
}

function rename(model: ModelConfig, names: readonly string[]): ModelConfig {
  const to = new Map(model.layers.map((layer, i) => [nameIn(layer), names[i]!]));
  const renameRef = ([name, ...rest]: Ref): Ref => [to.get(name) ?? name, ...rest];
  const { inputLayers, outputLayers } = model;
  return {
    ...model,
    layers: model.layers.map(({ name, config, inboundNodes, ...layer }, i) => ({
      ...layer,
      ...(name !== undefined && { name: names[i]! }),
      config: { ...config, name: names[i]! },
      ...(inboundNodes && { inboundNodes: inboundNodes.map((call) => call.map(renameRef)) }),
    })),
    ...(inputLayers && { inputLayers: inputLayers.map(renameRef) }),
    ...(outputLayers && { outputLayers: outputLayers.map(renameRef) }),
  };
}

const nameIn = ({ config }: LayerConfig): string => config.name;

function isModel(value: unknown): value is ModelConfig {
  const { layers } = (value ?? {}) as Partial<ModelConfig>;
  return (
    Array.isArray(layers) &&
    layers.every((layer: Partial<LayerConfig>) => typeof layer?.config?.name === 'string')
  );
}
