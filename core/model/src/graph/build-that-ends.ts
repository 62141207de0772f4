import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** A layer in the configuration of a model; from a file, so any part may be of another kind. */
interface LayerData {
  readonly name?: unknown;
  readonly config?: { readonly name?: unknown };
  readonly inboundNodes?: readonly (readonly (readonly unknown[])[])[];
}
type Layers = readonly LayerData[];
type FromConfig = (cls: unknown, config: Config, ...rest: readonly unknown[]) => unknown;
type Config = Readonly<Record<string, unknown>>;

/**
 * tfjs-layers looks for the inputs of every call until it has found all of them. It never ends where layers
 * form a circle, or name a layer or a call that is not there.
 */
function thatEnds(fromConfig: FromConfig): FromConfig {
  return (cls, config, ...rest) => {
    const { layers } = config;
    if (!Array.isArray(layers)) return fromConfig(cls, config, ...rest);
    refuseRepeatedNames(layers as Layers);
    refuseUnreached(layers as Layers);
    return fromConfig(cls, { ...config, layers: limitRounds(layers as Layers) }, ...rest);
  };
}

function refuseRepeatedNames(layers: Layers): void {
  for (const nameOf of [({ name }: LayerData) => name, ({ config }: LayerData) => config?.name]) {
    const seen = new Set<unknown>();
    for (const name of layers.map(nameOf)) {
      if (name !== undefined && seen.has(name))
        throw brokenGraph(`two are called '${String(name)}'`);
      seen.add(name);
    }
  }
}

/** A call of a layer, and how many of its inputs are not reached yet. */
interface Call {
  readonly layer: unknown;
  missing: number;
}

/** Refuses layers of which no call has all of its inputs. */
function refuseUnreached(layers: Layers): void {
  const reached = new Set<unknown>();
  const followers = new Map<unknown, Call[]>();
  const next: unknown[] = [];
  for (const { name, inboundNodes } of layers) {
    const calls = listCalls(inboundNodes);
    if (calls.length === 0) next.push(name);
    for (const inputs of calls) {
      const call = { layer: name, missing: inputs.size };
      for (const input of inputs) {
        const calls = followers.get(input);
        if (calls) calls.push(call);
        else followers.set(input, [call]);
      }
    }
  }
  while (next.length > 0) {
    const name = next.pop();
    if (reached.has(name)) continue;
    reached.add(name);
    for (const call of followers.get(name) ?? []) if (--call.missing === 0) next.push(call.layer);
  }
  const left = layers.map(({ name }) => name).filter((name) => !reached.has(name));
  if (left.length > 0) throw unreachedError(left.slice(0, 5).map(String));
}

/** The layers that each call takes its inputs from. */
function listCalls(nodes: LayerData['inboundNodes']): readonly ReadonlySet<unknown>[] {
  if (!Array.isArray(nodes)) return [];
  const calls = (nodes as unknown[]).filter((call) => Array.isArray(call) && call.length > 0);
  return (calls as unknown[][]).map(
    (inputs) =>
      new Set(inputs.map((input) => (Array.isArray(input) ? input[0] : input) as unknown)),
  );
}

/** Layers that are gone through once to be made, and then once for each call at most. */
function limitRounds(layers: Layers): Iterable<LayerData> {
  let left = layers.reduce((sum, { inboundNodes }) => sum + (inboundNodes?.length ?? 0), 1);
  return {
    *[Symbol.iterator]() {
      if (left-- === 0) throw unreachedError([]);
      yield* layers;
    },
  };
}

function unreachedError(names: readonly string[]): EspalierError {
  const which = names.length > 0 ? `'${names.join("', '")}' wait` : 'one waits';
  return brokenGraph(
    `${which} for inputs that never come: they form a circle, or name a layer or a call that is not there`,
  );
}

function brokenGraph(problem: string): EspalierError {
  return new EspalierError('model/broken-graph', {
    problem: `the layers of the model form no graph: ${problem}`,
    fix: 'Take another copy of the model, or save it again.',
  });
}

/** Once, for everything that makes a model of a configuration, the loaders of TensorFlow.js included. */
function endAllBuilds(): void {
  const { classNameMap } = tf.serialization.SerializationMap.getMap();
  const fromConfig = thatEnds(tfl.LayersModel.fromConfig as never);
  Object.assign(tfl.LayersModel, { fromConfig });
  for (const className of ['Model', 'Functional']) {
    const entry = classNameMap[className];
    if (entry) classNameMap[className] = [entry[0], fromConfig as never];
  }
}

endAllBuilds();
