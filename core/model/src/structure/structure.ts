import type { LayersModel } from '@tensorflow/tfjs-layers';
import { EspalierError, suggest } from '@espalier/errors';
import { buildModel } from '../build.js';
import { graphOf } from '../graph.js';
import type { ModelEdit, ModelGraph } from '../graph.js';
import { withKeyedInit } from '../keyed-init.js';
import type { NamedTensors } from '../named-tensors.js';
import { Network } from '../network.js';
import { disposeModel } from '../parameters.js';
import { viewOf } from '../view.js';
import type { ModelView } from '../view.js';
import type { Draw } from '../with-random.js';
import { orDispose, takeModel, takeNetwork } from './model-source.js';
import type { ModelSource } from './model-source.js';
import { DEFAULT_GROUP, ParameterSet } from './parameter-set.js';

/** The stream of a weight's initial values; `owner` is `model` or a plugin's id. */
export type InitialStream = (owner: string, layer: string, weight: string) => Draw;

interface Auxiliary {
  readonly network: Network;
  readonly model: LayersModel;
  readonly group: string;
}

/** One line of the edit log: provenance, for checkpoints and `inspect()`. */
export interface EditRecord {
  readonly plugin: string;
  readonly phase: 'setup' | 'transform';
  readonly outputs: readonly string[];
  /** What the plugin says about it: plain JSON, e.g. an account of bytes. */
  readonly detail?: unknown;
}

interface Rebuilt {
  readonly topology: unknown;
  readonly edits: readonly EditRecord[];
}

/** The networks of a run and all that is known about their structure. */
export class Structure {
  readonly edits: EditRecord[] = [];
  readonly ownOutputs: readonly string[];
  readonly #auxiliaries: Auxiliary[] = [];
  readonly #features = new Set<string>();
  readonly #groupings: [string, (path: string) => boolean][] = [];
  #network: Network | undefined;
  #parameters: ParameterSet | undefined;
  #view: ModelView | undefined;

  private constructor(
    private model: LayersModel,
    private mine: boolean,
    private readonly stream: InitialStream,
  ) {
    this.ownOutputs = new Network(model).outputNames;
  }

  /**
   * Takes the caller's model, which stays the caller's, or lets a function make the run's own.
   *
   * @throws EspalierError `session/model`, `session/two-tfjs`, `model/disposed`, `model/empty`, `model/stateful`.
   */
  static async create(source: ModelSource, stream: InitialStream): Promise<Structure> {
    const { model, mine } = await takeModel(source, (make) => keyedSync(stream, make));
    const make = () => new Structure(model, mine, stream);
    return mine ? orDispose(model, make) : make();
  }

  get network(): Network {
    return (this.#network ??= new Network(this.model));
  }

  /** The model's network and plugins' own. */
  get allNetworks(): readonly Network[] {
    return [this.network, ...this.#auxiliaries.map(({ network }) => network)];
  }

  get parameters(): ParameterSet {
    return (this.#parameters ??= new ParameterSet(
      [
        { parameters: this.network.parameters, group: DEFAULT_GROUP },
        ...this.#auxiliaries.map(({ network, group }) => ({
          parameters: network.parameters,
          group,
        })),
      ],
      this.#groupings,
    ));
  }

  get features(): readonly string[] {
    return [...this.#features];
  }

  get view(): ModelView {
    return (this.#view ??= viewOf(this.model, this.ownOutputs));
  }

  get layersModel(): LayersModel {
    return this.model;
  }

  requestFeatures(layers: readonly string[]): void {
    const known = this.view.layers.map((layer) => layer.name);
    for (const layer of layers) {
      if (!known.includes(layer)) {
        throw new EspalierError('model/unknown-layer', {
          problem: `the model has no layer '${layer}'`,
          fix: suggest(layer, known),
        });
      }
      this.#features.add(layer);
    }
  }

  group(name: string, belongs: (path: string) => boolean): void {
    this.#groupings.push([name, belongs]);
    this.#parameters = undefined;
  }

  /** Replaces the model by an edited one; nothing changes when the edit is refused. */
  edit(
    change: ModelEdit,
    { plugin, phase, detail }: Pick<EditRecord, 'plugin' | 'phase' | 'detail'>,
  ): void {
    const graph = change(graphOf(this.model));
    const edited = keyedSync(this.stream, () => buildModel(graph));
    orDispose(edited, () => this.#checkEdited(new Network(edited).outputNames, viewOf(edited)));
    this.#replace(edited);
    const { outputNames: outputs } = this.network;
    this.edits.push({ plugin, phase, outputs, ...(detail !== undefined && { detail }) });
  }

  /** Takes over a checkpoint's topology: of a model that was transformed after setup. */
  rebuild({ topology, edits }: Rebuilt, weights: NamedTensors): void {
    this.#replace(buildModel({ topology: topology as ModelGraph['topology'], weights }));
    this.edits.splice(0, this.edits.length, ...edits);
  }

  addNetwork(make: () => LayersModel, plugin: string, group: string): Network {
    const model = takeNetwork(() => keyedSync(this.stream, make, plugin));
    const network = orDispose(model, () => {
      const made = new Network(model, `${plugin}:`);
      const twice = made.parameters.find(({ path }) => this.parameters.paths.includes(path));
      if (twice) throw nameTaken(twice.path);
      return made;
    });
    this.#auxiliaries.push({ network, model, group });
    this.#parameters = undefined;
    return network;
  }

  dispose(): void {
    if (this.mine) disposeModel(this.model);
    this.#auxiliaries.forEach(({ model }) => disposeModel(model));
  }

  /** The losses need the user's own outputs, and some plugin asked for the features. */
  #checkEdited(outputs: readonly string[], { layers }: ModelView): void {
    const names = layers.map(({ name }) => name);
    const lost =
      this.ownOutputs.find((name) => !outputs.includes(name)) ??
      this.features.find((name) => !names.includes(name));
    if (lost === undefined) return;
    throw new EspalierError('model/lost-layer', {
      problem: `the edited model has no '${lost}', which is an output of the user's model or a feature that a plugin asked for`,
      fix: 'Keep the name of what replaces it.',
    });
  }

  #replace(model: LayersModel): void {
    if (this.mine) disposeModel(this.model);
    this.model = model;
    this.mine = true;
    this.#network = undefined;
    this.#parameters = undefined;
    this.#view = undefined;
  }
}

function nameTaken(path: string): EspalierError {
  return new EspalierError('model/name-taken', {
    problem: `another network of this plugin has the parameter '${path}' already`,
    fix: 'Give the layers of its networks names of their own.',
  });
}

function keyedSync<T>(stream: InitialStream, make: () => T, owner = 'model'): T {
  return withKeyedInit((layer, weight) => stream(owner, layer, weight), make);
}
