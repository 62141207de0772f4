import { canonicalNames, holdSame, listParameters, ModelWatch } from '@espalier/model';
import type { TrainingFlags } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** The caller's own model, once an edited one trains in its place, with the variables of the layers that stay. */
export class GivenModel {
  readonly #names: readonly string[];
  readonly #watch: ModelWatch;

  constructor(readonly model: LayersModel) {
    this.#names = [...canonicalNames(model).values()];
    this.#watch = new ModelWatch(model);
  }

  /**
   * Sets `trainable` on the layers of the live model where somebody set it on those that they share
   * variables with; gives back the names of the other layers where somebody did.
   *
   * @param ofWeights Whether the flags of weights alone count.
   */
  handOnFlags(live: LayersModel, ofWeights: boolean): readonly string[] {
    const changed = this.#watch.takeChangedFlags();
    if (!changed) return [];
    const shared = this.#listShared(live);
    const isShared = (key: string) => shared.includes(this.#findLayer(key));
    const all = ofWeights ? this.#openLayers(changed) : this.#spread(changed, shared);
    const flags = Object.entries(all).filter(([key]) => isShared(key));
    new ModelWatch(live).flags = Object.fromEntries(flags);
    const others = Object.keys(changed).filter((key) => key !== WHOLE && !isShared(key));
    return [...new Set(others.map((key) => this.#findLayer(key)))];
  }

  /** What is set on the whole model is meant for its layers, and not for those that plugins added. */
  #spread(changed: TrainingFlags, shared: readonly string[]): TrainingFlags {
    if (changed[WHOLE] === undefined) return changed;
    if (changed[WHOLE]) return this.#watch.flags;
    return { ...changed, ...Object.fromEntries(shared.map((name) => [`layer ${name}`, false])) };
  }

  /** Of the layers where the flag of a weight changed: all are open, so that those of weights decide. */
  #openLayers(changed: TrainingFlags): TrainingFlags {
    const weights = Object.keys(changed).filter((key) => key.startsWith('weight '));
    const layers = new Set(weights.map((key) => this.#findLayer(key)));
    const own = Object.entries(this.#watch.flags).filter(([key]) =>
      layers.has(this.#findLayer(key)),
    );
    return Object.fromEntries(own.map(([key, flag]) => [key, key.startsWith('layer ') || flag]));
  }

  /** Names of the layers that have all their variables in common with the live model. */
  #listShared(live: LayersModel): readonly string[] {
    const variables = new Map(listParameters(live).map(({ path, variable }) => [path, variable]));
    const alone = listParameters(this.model).filter(({ path, variable }) => {
      const other = variables.get(path);
      return !other || !holdSame(variable, other);
    });
    const changed = new Set(alone.map(({ path }) => this.#findLayer(`weight ${path}`)));
    return this.#names.filter((name) => !changed.has(name));
  }

  /** Of the model itself, the empty name; names may hold slashes, so the longest wins. */
  #findLayer(key: string): string {
    const path = `${key.slice(key.indexOf(' ') + 1)}/`;
    const owners = this.#names.filter((name) => path.startsWith(`${name}/`));
    return owners.sort((a, b) => a.length - b.length).at(-1) ?? '';
  }
}

/** The flag of the whole model. */
const WHOLE = 'layer ';
