import { EspalierError, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import {
  buildModel,
  canonicalOr,
  carryTraining,
  copyModel,
  disposeModel,
  extractGraph,
  keepOutputs,
  listParameters,
  ModelWatch,
  Network,
  viewModel,
} from '@espalier/model';
import type {
  EditRecord,
  ModelEdit,
  ModelGraph,
  ModelView,
  OwnNames,
  Parameter,
  StreamByKey,
  TrainingFlags,
} from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { fixFlags, fixGraph, fixTraining, listOtherwiseTrained } from './fixed-training.js';
import type { FixedTraining } from './fixed-training.js';
import { GivenModel } from './given-model.js';
import { keyedInit, orDispose, takeModel, takeNetwork } from './model-source.js';
import type { ModelSource } from './model-source.js';
import { DEFAULT_GROUP, ParameterSet } from './parameter-set.js';
import { listTakenOver, listUnchanged, staysIn } from './sharing.js';
import type { Shared } from './sharing.js';

interface Auxiliary {
  readonly network: Network;
  readonly model: LayersModel;
  readonly prefix: string;
  readonly group: string;
  readonly watch: ModelWatch;
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
  #watch: ModelWatch;
  /** The caller's own model, once an edited one has taken its place. */
  #given: GivenModel | undefined;
  #edited = false;
  #checked = false;
  #network: Network | undefined;
  #parameters: ParameterSet | undefined;
  #view: ModelView | undefined;

  private constructor(
    private model: LayersModel,
    private mine: boolean,
    readonly ownNames: OwnNames,
    private readonly stream: StreamByKey,
    private readonly fixed: FixedTraining | undefined,
  ) {
    this.ownOutputs = new Network(model).outputNames;
    this.#watch = new ModelWatch(model);
  }

  /**
   * Takes the caller's model, which stays the caller's, or lets a function make the run's own.
   *
   * @param trains Which of the model's parameters train; default: the flags `trainable`.
   * @throws EspalierError `session/model`, `session/two-tfjs`, `session/trainable`, `model/disposed`, `model/empty`,
   * `model/stateful`.
   */
  static async create(
    source: ModelSource,
    stream: StreamByKey,
    trains?: (path: string) => boolean,
  ): Promise<Structure> {
    const { model, mine, ownNames } = await takeModel(source, stream);
    const make = () =>
      new Structure(model, mine, ownNames, stream, trains && fixTraining(model, trains));
    return mine ? orDispose(model, make) : make();
  }

  get network(): Network {
    return (this.#network ??= new Network(this.model, '', {
      trains: this.#fixedNow,
      ownNames: this.ownNames,
    }));
  }

  /** The model's network and plugins' own. */
  get allNetworks(): readonly Network[] {
    return [this.network, ...this.#auxiliaries.map(({ network }) => network)];
  }

  get parameters(): ParameterSet {
    return (this.#parameters ??= new ParameterSet(
      [
        { parameters: listParameters(this.model), group: DEFAULT_GROUP },
        ...this.#auxiliaries.map(({ model, prefix, group }) => ({
          parameters: listParameters(model, prefix),
          group,
        })),
      ],
      this.#groupings,
      this.#makeTrains(),
    ));
  }

  get features(): readonly string[] {
    return [...this.#features];
  }

  get view(): ModelView {
    return (this.#view ??= viewModel(this.model, {
      ownOutputs: this.ownOutputs,
      ownNames: this.ownNames,
      extract: () => this.#extractGraph(),
    }));
  }

  get layersModel(): LayersModel {
    return this.model;
  }

  requestFeatures(layers: readonly string[]): void {
    const known = this.view.layers.map((layer) => layer.name);
    for (const layer of layers) {
      if (!known.includes(canonicalOr(layer, known, this.ownNames))) {
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

  /**
   * Replaces the model by an edited one; nothing changes when the edit is refused.
   *
   * @throws EspalierError `model/rebuild`, `model/lost-layer`, and what the edit and building throw.
   */
  edit(
    change: ModelEdit,
    { plugin, phase, detail }: Pick<EditRecord, 'plugin' | 'phase' | 'detail'>,
  ): void {
    this.checkRebuild();
    const before = this.#extractGraph();
    const graph = change(before);
    const share = listTakenOver(this.model, before, graph);
    const edited = keyedInit(this.stream, () => buildModel(graph, { share }));
    orDispose(edited, () => {
      this.#checkEdited(new Network(edited).outputNames, viewModel(edited));
      if (!this.#followsGraph) {
        carryTraining(this.model, edited, staysIn(before.topology, graph.topology));
      }
      checkCopy(edited, this.stream);
    });
    this.#replace(edited);
    this.#checked = true;
    const { outputNames: outputs } = this.network;
    this.edits.push({ plugin, phase, outputs, ...(detail !== undefined && { detail }) });
  }

  /**
   * Makes sure that the model, built again from its graph, computes what it computes now; once for
   * each model, since this does not depend on the values of weights.
   *
   * @throws EspalierError `model/rebuild`, and what `extractGraph` throws.
   */
  checkRebuild(): void {
    if (!this.#checked) checkCopy(this.model, this.stream);
    this.#checked = true;
  }

  /** A copy of the model with these outputs; the caller owns it. */
  copy(outputs: readonly string[]): LayersModel {
    this.checkRebuild();
    const graph = { ...extractGraph(this.model), ownNames: this.ownNames };
    const copy = buildModel(keepOutputs(graph, outputs));
    carryTraining(this.model, copy);
    return copy;
  }

  /**
   * Takes over a checkpoint's topology: of a model that was transformed after setup. Layers that it has as they
   * are keep their variables, and their values.
   */
  rebuild({ topology, edits }: Rebuilt, weights: NamedTensors): void {
    const graph = { topology: topology as ModelGraph['topology'], weights };
    const models = [...(this.#given ? [this.#given.model] : []), this.model];
    const share: Shared = new Map(
      models.flatMap((model) => [...listUnchanged(model, graph.topology)]),
    );
    this.#replace(buildModel(graph, { share }));
    this.edits.splice(0, this.edits.length, ...edits);
  }

  addNetwork(make: () => LayersModel, plugin: string, group: string): Network {
    const model = takeNetwork(make, this.stream, plugin);
    const prefix = `${plugin}:`;
    const network = orDispose(model, () => {
      const made = new Network(model, prefix);
      const twice = made.parameters.find(({ path }) => this.parameters.paths.includes(path));
      if (twice) throw nameTaken(twice.path);
      return made;
    });
    const watch = new ModelWatch(model, prefix);
    this.#auxiliaries.push({ network, model, prefix, group, watch });
    this.#parameters = undefined;
    return network;
  }

  /**
   * Refuses a structure that somebody else changed.
   *
   * @throws EspalierError `model/changed`, `model/disposed`.
   */
  refuseChanges(): void {
    this.#watches.forEach((watch) => watch.refuseChanges());
  }

  /** Takes over which parameters train where somebody set `trainable`; says whether somebody did. */
  followTraining(): boolean {
    if (!this.#watches.map((watch) => watch.flagsChanged()).includes(true)) return false;
    this.#network = undefined;
    this.#parameters = undefined;
    return true;
  }

  /**
   * Hands on what somebody set as `trainable` on the caller's own model, where an edited one trains in its place.
   * Gives back the names of layers that plugins have replaced, which cannot follow.
   */
  followGiven(): readonly string[] {
    return this.#given?.handOnFlags(this.model, this.fixed !== undefined) ?? [];
  }

  /** `trainable` of every layer and weight; those that are set become the model's. */
  get trainingFlags(): TrainingFlags {
    const flags = Object.assign({}, ...this.#watches.map((watch) => watch.flags)) as TrainingFlags;
    const fixed = this.#fixedNow;
    return fixed ? fixFlags(flags, fixed) : flags;
  }

  set trainingFlags(flags: TrainingFlags) {
    const watches = this.#fixedNow ? this.#watches.slice(1) : this.#watches;
    watches.forEach((watch) => (watch.flags = flags));
  }

  /** Parameters that the configuration fixes, and that the run with these flags trained, or did not, unlike this. */
  listOtherwiseTrained(flags: TrainingFlags): readonly string[] {
    if (!this.fixed) return [];
    return listOtherwiseTrained(flags, this.fixed, (path) => this.parameters.isTrainable(path));
  }

  /**
   * What is fixed, less the weights that are frozen themselves, as long as no edit has put it into a model of
   * the run's own.
   */
  get #fixedNow(): FixedTraining | undefined {
    if (this.#edited || !this.fixed) return undefined;
    const { flags } = this.#watch;
    const entries = [...this.fixed];
    return new Map(entries.map(([path, trains]) => [path, trains && flags[`weight ${path}`]!]));
  }

  #makeTrains(): (parameter: Parameter) => boolean {
    const now = this.#fixedNow;
    return ({ path, trainable }) =>
      now?.get(path) ?? (trainable && (now !== undefined || this.fixed?.get(path) !== false));
  }

  /** Whether a graph says which parameters train, so that flags of the model need not be carried over. */
  get #followsGraph(): boolean {
    if (this.#fixedNow) return true;
    return !this.mine && !this.model.trainable;
  }

  #extractGraph(): ModelGraph {
    const graph = { ...extractGraph(this.model), ownNames: this.ownNames };
    const fixed = this.#fixedNow;
    return fixed ? fixGraph(graph, fixed) : graph;
  }

  get #watches(): readonly ModelWatch[] {
    return [this.#watch, ...this.#auxiliaries.map(({ watch }) => watch)];
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
      this.features.find((name) => !names.includes(canonicalOr(name, names, this.ownNames)));
    if (lost === undefined) return;
    throw new EspalierError('model/lost-layer', {
      problem: `the edited model has no '${lost}', which is an output of the user's model or a feature that a plugin asked for`,
      fix: 'Keep the name of what replaces it.',
    });
  }

  #replace(model: LayersModel): void {
    if (this.mine) disposeModel(this.model);
    else this.#given = new GivenModel(this.model);
    this.#edited = true;
    this.#watch = new ModelWatch(model);
    this.model = model;
    this.mine = true;
    this.#checked = false;
    this.#network = undefined;
    this.#parameters = undefined;
    this.#view = undefined;
  }
}

function checkCopy(model: LayersModel, stream: StreamByKey): void {
  disposeModel(copyModel(model, stream));
}

function nameTaken(path: string): EspalierError {
  return new EspalierError('model/name-taken', {
    problem: `another network of this plugin has the parameter '${path}' already`,
    fix: 'Give the layers of its networks names of their own.',
  });
}
