import { EspalierError } from '@espalier/base';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { canonicalNames, innerVariable, listParameters } from './parameters.js';
import type { Layer } from './parameters.js';

/** `trainable` of every layer and weight, by path. */
export type TrainingFlags = Readonly<Record<string, boolean>>;

/** A property of a layer that belongs to the structure, and what it held. */
interface Held {
  readonly layer: Layer;
  readonly path: string;
  readonly key: string;
  readonly items: readonly unknown[];
}

const WEIGHTS = ['_trainableWeights', '_nonTrainableWeights'];
const ENDS = ['inputs', 'outputs'];

/** Notices what others do to a model while a run uses it: by identity, so that nothing is read. */
export class ModelWatch {
  readonly #layers: ReadonlyMap<string, Layer>;
  readonly #weights: ReadonlyMap<string, LayerVariable>;
  readonly #held: readonly Held[];
  #flags: readonly boolean[];

  constructor(model: LayersModel, prefix = '') {
    const layers = [...layersWithin(model, prefix)].map(([layer, path]) => [path, layer] as const);
    this.#layers = new Map(layers);
    this.#held = layers.flatMap(([path, layer]) => listHeld(layer, path));
    const parameters = listParameters(model, prefix);
    this.#weights = new Map(parameters.map(({ path, variable }) => [path, variable]));
    this.#flags = this.#readFlags();
  }

  /**
   * Refuses a model that is not built as it was.
   *
   * @throws EspalierError `model/changed`, `model/disposed`.
   */
  refuseChanges(): void {
    const changed = this.#held.find(isChanged);
    if (changed) throw structureChanged(changed);
    for (const [path, weight] of this.#weights) {
      if (innerVariable(weight).isDisposed) throw weightDisposed(path);
    }
  }

  /** Whether somebody set `trainable` since this was asked last. */
  flagsChanged(): boolean {
    return this.takeChangedFlags() !== undefined;
  }

  /** Where somebody set `trainable` since this was asked last, outer layers first; nothing where nobody did. */
  takeChangedFlags(): TrainingFlags | undefined {
    const before = this.#flags;
    const now = this.#readFlags();
    this.#flags = now;
    if (now.every((flag, i) => flag === before[i])) return undefined;
    const changed = this.#switches().filter((_, i) => now[i] !== before[i]);
    return Object.fromEntries(changed.map(([key, { trainable }]) => [key, trainable]));
  }

  get flags(): TrainingFlags {
    return Object.fromEntries(this.#switches().map(([key, { trainable }]) => [key, trainable]));
  }

  /** Sets those that it knows; outer layers first, since setting theirs sets inner ones. */
  set flags(flags: TrainingFlags) {
    for (const [key, holder] of this.#switches()) {
      const flag = flags[key];
      if (flag !== undefined && holder.trainable !== flag) holder.trainable = flag;
    }
  }

  #switches(): readonly (readonly [key: string, { trainable: boolean }])[] {
    const layers = [...this.#layers].map(([path, layer]) => [`layer ${path}`, layer] as const);
    const weights = [...this.#weights].map(
      ([path, weight]) => [`weight ${path}`, weight as { trainable: boolean }] as const,
    );
    return [...layers, ...weights];
  }

  #readFlags(): readonly boolean[] {
    const flags: boolean[] = [];
    for (const layer of this.#layers.values()) flags.push(layer.trainable);
    for (const weight of this.#weights.values()) flags.push(weight.trainable);
    return flags;
  }
}

/**
 * Freezes a copy where its original is frozen, so that `trainable = true` in the same place thaws it:
 * the configurations of tfjs say it of plain layers only. `stays` tells by path what is copied.
 */
export function carryTraining(
  from: LayersModel,
  to: LayersModel,
  stays: (path: string) => boolean = () => true,
): void {
  const flags = Object.entries(new ModelWatch(from).flags);
  const parsePath = (key: string) => key.slice(key.indexOf(' ') + 1);
  new ModelWatch(to).flags = Object.fromEntries(flags.filter(([key]) => stays(parsePath(key))));
}

/** A model and every layer in it, outer ones first: in nested models, in wrappers, in cells. */
function layersWithin(model: LayersModel, prefix: string): ReadonlyMap<Layer, string> {
  const found = new Map<Layer, string>();
  const visit = (layer: Layer, path: string): void => {
    if (found.has(layer)) return;
    found.set(layer, path);
    const names = layer instanceof tfl.LayersModel ? canonicalNames(layer) : undefined;
    const inside = path === prefix ? path : `${path}/`;
    for (const { key, items } of listHeldLayers(layer, path)) {
      (items as Layer[]).forEach((held, i) =>
        visit(held, inside + (names?.get(held) ?? `#${key}.${i}`)),
      );
    }
  };
  visit(model, prefix);
  return found;
}

function listHeldLayers(layer: Layer, path: string): Held[] {
  return Object.entries(layer).flatMap(([key, value]) => {
    // A Sequential makes this one anew whenever it is compiled; its layers are those of `layers`.
    if (key === 'model' && layer instanceof tfl.Sequential) return [];
    const items = [value as unknown].flat();
    const all = items.length > 0 && items.every((item) => item instanceof tfl.layers.Layer);
    return all ? [{ layer, path, key, items }] : [];
  });
}

function listHeld(layer: Layer, path: string): Held[] {
  const keys = layer instanceof tfl.LayersModel ? ENDS : WEIGHTS;
  const own = keys.map((key) => ({ layer, path, key, items: [readProperty(layer, key)].flat() }));
  return [...listHeldLayers(layer, path), ...own];
}

function readProperty(layer: Layer, key: string): unknown {
  return (layer as unknown as Record<string, unknown>)[key];
}

function isChanged({ layer, key, items }: Held): boolean {
  const now = readProperty(layer, key);
  if (!Array.isArray(now)) return items.length !== 1 || items[0] !== now;
  return now.length !== items.length || now.some((item, i) => item !== items[i]);
}

function structureChanged({ layer, path, key, items }: Held): EspalierError {
  const now = [readProperty(layer, key)].flat();
  const names = (list: readonly unknown[]) =>
    list.map((item) => (item as { readonly name?: string } | undefined)?.name ?? 'nothing');
  const where = path === '' ? 'the model' : `'${path}'`;
  return new EspalierError('model/changed', {
    problem: `the structure of ${where} was changed outside of the session: its ${key.replace('_', '')} were '${names(items).join("', '")}'`,
    received: names(now),
    fix: 'Make a new session for the changed model; a plugin changes a model by ctx.edit.',
  });
}

function weightDisposed(path: string): EspalierError {
  return new EspalierError('model/disposed', {
    problem: `the weight '${path}' was disposed outside of the session that uses it`,
    fix: 'Dispose the session first; a model that is needed elsewhere too is given as it is, not by a function.',
  });
}
