import { stopGradient } from '@espalier/backend';
import { EspalierError, keyedRng, suggest } from '@espalier/base';
import { testTargets } from '@espalier/losses';
import { tidyExcept, valueAndGradients } from '@espalier/model';
import type { Network, Rng } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import { checkTargetShapes } from '../batch/check-target-shapes.js';
import { withoutMaskedFaults } from '../batch/masked.js';
import { computeCounts } from '../batch/step-weights.js';
import type { Clock } from '../clock.js';
import type { LossContext } from '../hooks/hooks.js';
import type { TapOutput, Taps } from '../hooks/taps.js';
import type { RunSettings } from '../settings.js';
import type { Structure } from '../structure/structure.js';
import { addPenalties, addTaskTerms, makeReduce } from './add-terms.js';
import { checkOutputShape } from './heads.js';
import { TermTable } from './loss-terms.js';
import type { Term } from './loss-terms.js';
import type { AuxiliaryOptions, ChooseTerm, Gradients, ObjectiveOptions } from './options.js';
import { StepMetrics } from './step-metrics.js';
import { sumByName } from './sum-by-name.js';

/** Where moving statistics go: dropped, or collected (kept; the caller disposes). */
type Writes = 'discard' | Map<string, Tensor>;

/** The settings of the evaluation under way; plugins' own networks follow them. */
interface Evaluation {
  readonly substitute: ReadonlyMap<string, Tensor>;
  readonly writes: Writes;
  readonly random: (layer: string) => Rng;
  readonly freeze: boolean;
  /** What keys every draw of this evaluation. */
  readonly draws: readonly [batch: Batch['key'], salt: string];
  readonly networks?: ObjectiveOptions['networks'];
  /** Takes the metrics of `loss` taps; absent: they are ignored. */
  readonly metrics?: StepMetrics;
  /** How many evaluations it runs inside of. */
  readonly depth: number;
}

/** Loss and gradients of a step's own evaluation, and the metrics that `loss` taps gave. */
export interface StepGradients extends Gradients {
  /** Scalars by name; none in other evaluations. */
  readonly metrics: NamedTensors;
}

/** Parameter groups that terms train; absent: all groups. */
type Groups = readonly string[] | undefined;

/** Deeper than any method goes: a tap that evaluates the objective in every evaluation has no end. */
const DEEPEST = 16;

/**
 * The composed loss as a function: the whole loss that all plugins define together, at any parameters.
 * Synchronous, re-entrant, differentiable, and it leaves no tensor behind.
 */
export class Objective {
  #current: Evaluation | undefined;
  #fresh = { step: -1, count: 0 };

  constructor(
    private readonly settings: RunSettings,
    private readonly structure: Structure,
    private readonly taps: Taps,
    private readonly clock: Clock,
  ) {}

  /** The total loss on a batch. */
  evaluate(batch: Batch, options: ObjectiveOptions = {}): Scalar {
    this.#check(options);
    return this.#writing(options, (writes) =>
      tf.tidy(() => {
        const table = this.#run(batch, this.#makeEvaluation(batch, options, writes));
        return tf.clone(table.total(options.terms ?? all));
      }),
    );
  }

  /**
   * The total loss on a batch for an optimizer of the caller's, which differentiates it by the model's
   * variables: each term reaches the groups that it trains, and what does not train gets no gradient.
   * Terms for other groups cost a forward pass each. Moving statistics become the model's.
   */
  evaluateForTraining(batch: Batch): Scalar {
    return this.#writing({ state: 'update' }, (writes) =>
      tf.tidy(() => {
        const evaluation = this.#makeEvaluation(batch, {}, writes);
        const run = (groups: Groups, how: Writes) =>
          this.#run(batch, { ...evaluation, substitute: this.#stopOthers(groups), writes: how });
        const first = run(undefined, writes);
        const others = listOtherGroups(first.terms, undefined);
        const rest = others.map((groups) => {
          this.#checkGroups(groups ?? [], first.terms);
          return totalOf(run(groups, 'discard'), groups);
        });
        return others.length === 0
          ? tf.clone(first.total(all))
          : tf.addN([totalOf(first, undefined), ...rest]);
      }),
    );
  }

  /** Constants in place of the variables that do not train, or not for `groups`. */
  #stopOthers(groups: Groups): ReadonlyMap<string, Tensor> {
    const { parameters } = this.structure;
    const trains = (path: string) =>
      parameters.isTrainable(path) && (groups?.includes(parameters.findGroup(path)) ?? true);
    const stopped = parameters.paths.filter(
      (path) => isTrained(parameters.value(path)) && !trains(path),
    );
    return new Map(stopped.map((path) => [path, stopGradient(parameters.value(path))]));
  }

  /**
   * Loss and gradients on a batch. Terms that train different groups are differentiated apart, each
   * in a pass of its own with the same draws, so a term's gradient for a foreign group is exactly
   * zero; where no term names `groups` there is one pass.
   *
   * @param into Collects moving statistics; without it `options.state` decides what becomes of them.
   */
  gradients(
    batch: Batch,
    options: ObjectiveOptions = {},
    into?: Map<string, Tensor>,
  ): StepGradients {
    this.#check(options);
    if (into) return this.#differentiate(batch, options, into, new StepMetrics());
    return this.#writing(options, (writes) => this.#differentiate(batch, options, writes));
  }

  #differentiate(
    batch: Batch,
    options: ObjectiveOptions,
    writes: Writes,
    metrics?: StepMetrics,
  ): StepGradients {
    const evaluation = this.#makeEvaluation(batch, options, writes);
    const wanted = options.terms ?? all;
    return tidyExcept(listTensors, () => {
      const first = this.#pass(batch, { ...evaluation, ...(metrics && { metrics }) }, wanted);
      const rest = first.otherGroups.map((groups) =>
        this.#pass(batch, { ...evaluation, writes: 'discard' }, wanted, { groups }),
      );
      const passes = [first, ...rest];
      return {
        total: rest.length === 0 ? first.value : tf.addN(passes.map((pass) => pass.value)),
        values: first.values,
        terms: first.terms,
        metrics: first.metrics,
        gradients: sumByName(passes.map((pass) => pass.gradients)),
      };
    });
  }

  /** Runs `fn`; the moving statistics that it wrote become the model's where that is asked for. */
  #writing<T>({ state = 'keep' }: ObjectiveOptions, fn: (writes: Writes) => T): T {
    if (state === 'keep') return fn('discard');
    const statistics = new Map<string, Tensor>();
    try {
      const result = fn(statistics);
      this.structure.parameters.assign(Object.fromEntries(statistics));
      return result;
    } finally {
      tf.dispose([...statistics.values()]);
    }
  }

  /** What keys the draws of the evaluation under way; none outside of one. */
  get draws(): Evaluation['draws'] | undefined {
    return this.#current?.draws;
  }

  /**
   * Runs a plugin's own network under the settings of the evaluation under way; outside of one, for
   * inference.
   */
  runAuxiliary(
    { network, plugin }: { readonly network: Network; readonly plugin: string },
    inputs: NamedTensors,
    { detach = false }: AuxiliaryOptions,
  ): NamedTensors {
    const evaluation = this.#current;
    if (!evaluation) return network.execute(inputs, { training: false }).outputs;
    const settings = { ...evaluation, training: true };
    const replaced = evaluation.networks?.({
      plugin,
      parameters: network.parameters.map(({ path }) => path),
      inputs,
      run: (given, params = {}) => {
        const substitute = new Map([...evaluation.substitute, ...Object.entries(params)]);
        return network.execute(given, { ...settings, substitute, writes: 'discard' }).outputs;
      },
    });
    if (replaced) return replaced;
    const { outputs } = network.execute(inputs, settings);
    return detach ? detachAll(outputs) : outputs;
  }

  /**
   * What each `targets` tap returns when a step evaluates a batch. The caller owns the tensors that are
   * not the batch's.
   */
  collectTargets(batch: Batch): readonly TapOutput<'targets'>[] {
    const outer = this.#current;
    this.#current = this.#makeEvaluation(batch, {}, 'discard');
    try {
      return tidyExcept(
        (outputs) => outputs.flatMap(({ value }) => Object.values(value)),
        () => {
          const { targets } = withoutMaskedFaults(batch, this.structure.network.idInputs);
          return this.taps.collect('targets', targets, this.#checkTargets);
        },
      );
    } finally {
      this.#current = outer;
    }
  }

  readonly #checkTargets = (targets: NamedTensors): void =>
    checkTargetShapes(this.settings.losses, targets, this.structure.network.outputShapes);

  /**
   * One forward and backward pass, for the terms that train `groups`; without `only`, for those that
   * train the same groups as the first term does.
   */
  #pass(
    batch: Batch,
    evaluation: Evaluation,
    wanted: ChooseTerm,
    only?: { readonly groups: Groups },
  ) {
    const { parameters } = this.structure;
    const paths = parameters.trainable;
    const xs = paths.map((path) => evaluation.substitute.get(path) ?? parameters.value(path));
    let table!: TermTable;
    let groups: Groups;
    let alone = false;
    const { value, aux, gradients } = valueAndGradients(() => {
      table = this.#run(batch, evaluation);
      groups = only ? only.groups : table.terms.find(wanted)?.groups;
      const total = table.total((term) => haveSameGroups(term.groups, groups) && wanted(term));
      alone = table.terms.length === 1 && total === table.terms[0]!.value;
      const terms = alone ? [] : table.terms.map((term) => term.value);
      return { value: total, aux: [...terms, ...Object.values(evaluation.metrics?.values ?? {})] };
    }, xs);
    const trained = groups ?? parameters.groups;
    this.#checkGroups(trained, table.terms);
    const reached = paths
      .map((path, i) => [path, gradients[i]] as const)
      .filter(([path, gradient]) => gradient && trained.includes(parameters.findGroup(path)));
    return {
      value,
      values: alone ? [value] : aux.slice(0, table.terms.length),
      metrics: nameMetrics(evaluation.metrics, aux),
      terms: table.terms.map(({ name, weight, replacedBy }) => ({
        name,
        weight,
        ...(replacedBy !== undefined && { replacedBy }),
      })),
      otherGroups: listOtherGroups(table.terms.filter(wanted), groups),
      gradients: Object.fromEntries(reached) as NamedTensors,
    };
  }

  /** One forward pass through every plugin. */
  #run(given: Batch, evaluation: Evaluation): TermTable {
    const outer = this.#current;
    this.#current = evaluation;
    try {
      return this.#forward(given, evaluation);
    } finally {
      this.#current = outer;
    }
  }

  #forward(raw: Batch, evaluation: Evaluation): TermTable {
    const { taps, clock } = this;
    const { losses, logits, semantics } = this.settings;
    const { network, allNetworks, features } = this.structure;
    const given = withoutMaskedFaults(raw, network.idInputs);
    const { masks, ...forward } = network.execute(given.inputs, {
      ...evaluation,
      training: true,
      features,
      logits,
      masks: semantics === 'espalier',
    });
    const targets = taps.call('targets', given.targets, this.#checkTargets);
    for (const name of Object.keys(losses)) {
      checkOutputShape(name, forward.outputs[name]!, network.outputShapes[name]!);
    }
    const counts = computeCounts(given, targets, masks);
    const { batch, steps } = counts;
    const valid = testTargets(losses, targets, network.outputShapes, given.weights);
    const reduce = makeReduce(batch, valid);
    const table = new TermTable();
    addTaskTerms(table, losses, { ...forward, targets, ...counts }, reduce);
    addPenalties(table, allNetworks, { substitute: evaluation.substitute, semantics });
    if (taps.isTapped('loss')) {
      const nested = !(evaluation.writes instanceof Map);
      const mean = (values: Tensor1D) => reduce(values);
      const metric = makeMetric(evaluation.metrics, { size: batch.size, mean });
      const own = { batch, targets, steps, training: true, nested, clock, mean, metric };
      const context = { ...own, ...forward };
      taps.callViews('loss', (plugin) => ({ ...context, terms: table.viewFor(plugin) }));
    }
    return table;
  }

  #makeEvaluation(batch: Batch, options: ObjectiveOptions, writes: Writes): Evaluation {
    const { seed, semantics } = this.settings;
    const draws = [batch.key, options.rng === 'fresh' ? this.#nextFresh() : 'replay'] as const;
    const random = (layer: string) => makeLazyRng(() => keyedRng(seed, 'forward', ...draws, layer));
    const depth = (this.#current?.depth ?? -1) + 1;
    if (depth > DEEPEST) throw endlessError();
    const substitute = new Map(Object.entries(options.params ?? {}));
    const freeze = semantics === 'espalier';
    return { substitute, writes, random, freeze, draws, depth, networks: options.networks };
  }

  /** Counts from 0 in every step, so that a resumed run draws the same. */
  #nextFresh(): string {
    const { step } = this.clock;
    if (this.#fresh.step !== step) this.#fresh = { step, count: 0 };
    return `fresh ${step} ${this.#fresh.count++}`;
  }

  #check({ params = {} }: ObjectiveOptions): void {
    for (const path of Object.keys(params)) this.structure.parameters.findGroup(path);
  }

  #checkGroups(groups: readonly string[], terms: readonly Term[]): void {
    const known = this.structure.parameters.groups;
    const unknown = groups.find((group) => !known.includes(group));
    if (unknown === undefined) return;
    const term = terms.find((each) => each.groups?.includes(unknown))?.name;
    throw new EspalierError('terms/unknown-group', {
      problem: `the loss term '${term}' trains the group '${unknown}', which has no parameters`,
      fix: suggest(unknown, known),
    });
  }
}

/** Whether two terms train the same groups, in whatever order they name them. */
function haveSameGroups(a: Groups, b: Groups): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const [first, second] = [new Set(a), new Set(b)];
  return first.size === second.size && [...first].every((group) => second.has(group));
}

/** The groups of the terms that a pass for `groups` leaves out, each once. */
function listOtherGroups(terms: readonly Term[], groups: Groups): readonly Groups[] {
  const passes: Groups[] = [groups];
  for (const term of terms) {
    if (!passes.some((known) => haveSameGroups(known, term.groups))) passes.push(term.groups);
  }
  return passes.slice(1);
}

function listTensors({ total, values, metrics, gradients }: StepGradients): Tensor[] {
  return [total, ...values, ...Object.values(metrics), ...Object.values(gradients)];
}

/** The last of the auxiliary values, which are those of the metrics. */
function nameMetrics(metrics: StepMetrics | undefined, aux: readonly Scalar[]): NamedTensors {
  const names = Object.keys(metrics?.values ?? {});
  return Object.fromEntries(names.map((name, i) => [name, aux[aux.length - names.length + i]!]));
}

function makeMetric(
  metrics: StepMetrics | undefined,
  how: { readonly size: number; mean(values: Tensor1D): Scalar },
): LossContext['metric'] {
  return metrics ? (name, value) => metrics.add(name, value, how) : () => undefined;
}

function totalOf(table: TermTable, groups: Groups): Scalar {
  return table.total((term) => haveSameGroups(term.groups, groups));
}

/** Whether optimizers of tfjs take it for a variable to train. */
function isTrained(value: Tensor): boolean {
  return value instanceof tf.Variable && value.trainable;
}

function detachAll(outputs: NamedTensors): NamedTensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, stopGradient(output)]),
  );
}

const all = () => true;

function endlessError(): EspalierError {
  return new EspalierError('objective/endless', {
    problem: `${DEEPEST} evaluations of the objective run inside each other: a 'targets' or 'loss' tap evaluates it every time`,
    fix: 'Evaluate it in beforeStep, or skip the nested call with a flag.',
  });
}

/** Most layers draw nothing: their stream is made at the first draw. */
function makeLazyRng(make: () => Rng): Rng {
  let rng: Rng | undefined;
  return () => (rng ??= make())();
}
