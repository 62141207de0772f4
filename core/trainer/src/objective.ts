import { stopGradient } from '@espalier/backend';
import { EspalierError, keyedRng, suggest } from '@espalier/base';
import { testTargets } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import { refuseForeignTensor, tidyExcept, valueAndGradients } from '@espalier/model';
import type { Rng, Network } from '@espalier/model';
import type { ParameterSet } from '@espalier/model/structure';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, Clock, NamedTensors } from './batch.js';
import { checkOutputShape } from './heads.js';
import type { LossContext } from './hooks.js';
import { TermTable } from './loss-terms.js';
import type { LossTerms, Term } from './loss-terms.js';
import { withoutMaskedFaults } from './masked.js';
import type { AuxiliaryOptions } from './plugin.js';
import type { Semantics } from './session-config.js';
import { checkWeighsSteps, countingOf, meanOverPresent } from './steps.js';
import type { Counting } from './steps.js';
import type { HandedOn, Taps } from './taps.js';
import { sumByName } from './window-sums.js';

/** How to evaluate the loss of the run. */
export interface ObjectiveOptions {
  /** Values to use instead of the current parameters, by path; tape tensors are welcome. */
  readonly params?: NamedTensors;
  /** `replay` (default): the draws that the step itself makes on this batch; `fresh`: new ones. */
  readonly rng?: 'replay' | 'fresh';
  /** `keep` (default): moving statistics stay as they are; `update`: this evaluation moves them. */
  readonly state?: 'keep' | 'update';
  /** Which terms count; default all. */
  readonly terms?: (term: Term) => boolean;
  /** Stands in for plugins' own networks: gives the outputs of a call, or nothing to run it as ever. */
  readonly networks?: (call: NetworkCall) => NamedTensors | undefined;
}

/** One call of a plugin's own network in an evaluation. */
export interface NetworkCall {
  /** Whose network it is. */
  readonly plugin: string;
  /** Paths of its parameters, by which two networks of one plugin are told apart. */
  readonly parameters: readonly string[];
  /** What it is called with; tensors of the evaluation. */
  readonly inputs: NamedTensors;
  /**
   * Runs it as the evaluation would (same draws, moving statistics left alone), at other parameters
   * or on other inputs if wished. It may be kept for after the evaluation.
   */
  run(inputs: NamedTensors, params?: NamedTensors): NamedTensors;
}

/** Loss and gradients of one evaluation. The caller owns every tensor. */
export interface Gradients {
  /** The weighted sum of the terms. */
  readonly total: Scalar;
  /** Unweighted terms, in the order of `terms`. */
  readonly values: readonly Scalar[];
  readonly terms: readonly Pick<Term, 'name' | 'weight' | 'replacedBy'>[];
  /** By path; a parameter that the loss does not reach is absent. */
  readonly gradients: NamedTensors;
}

/** Where moving statistics go: applied, dropped, or collected (kept; the caller disposes). */
export type Writes = 'discard' | Map<string, Tensor>;

/** What the objective is made of. Fields are read at each evaluation: structure may change. */
export interface ObjectiveParts {
  readonly seed: number;
  readonly clock: Clock;
  readonly taps: Taps;
  readonly semantics: Semantics;
  readonly network: Network;
  /** That one and those of plugins. */
  readonly allNetworks: readonly Network[];
  readonly parameters: ParameterSet;
  /** By output of the user's model. */
  readonly losses: Readonly<Record<string, Loss>>;
  readonly features: readonly string[];
  /** Outputs that are wanted before their softmax or sigmoid. */
  readonly logits: readonly string[];
}

/** The settings of the evaluation under way; plugins' own networks follow them. */
interface Evaluation {
  readonly substitute: ReadonlyMap<string, Tensor>;
  readonly writes: Writes;
  readonly random: (layer: string) => Rng;
  readonly freeze: boolean;
  /** What keys every draw of this evaluation. */
  readonly draws: readonly [batch: Batch['key'], salt: string];
  readonly networks?: ObjectiveOptions['networks'];
  /** How many evaluations it runs inside of. */
  readonly depth: number;
}

/** Deeper than any method goes: a tap that evaluates the objective in every evaluation has no end. */
const DEEPEST = 16;

/**
 * The composed step as a value: the whole loss that all plugins together define, at any parameters.
 * Synchronous, re-entrant, differentiable, and it leaves nothing behind.
 */
export class Objective {
  #current: Evaluation | undefined;
  #fresh = { step: -1, count: 0 };

  constructor(private readonly parts: ObjectiveParts) {}

  /** The total loss on a batch. */
  evaluate(batch: Batch, options: ObjectiveOptions = {}): Scalar {
    this.#check(options);
    return this.#writing(options, (writes) =>
      tf.tidy(() => {
        const ledger = this.#run(batch, this.#evaluation(batch, options, writes));
        return tf.clone(ledger.total(options.terms ?? all));
      }),
    );
  }

  /**
   * Loss and gradients on a batch. Terms that train different groups are differentiated apart, each
   * in a pass of its own with the same draws, so a term's gradient for a foreign group is exactly
   * zero; where no term says `trains` there is one pass.
   */
  gradients(batch: Batch, options: ObjectiveOptions = {}, into?: Map<string, Tensor>): Gradients {
    this.#check(options);
    if (into) return this.#differentiate(batch, options, into);
    return this.#writing(options, (writes) => this.#differentiate(batch, options, writes));
  }

  #differentiate(batch: Batch, options: ObjectiveOptions, writes: Writes): Gradients {
    const evaluation = this.#evaluation(batch, options, writes);
    const wanted = options.terms ?? all;
    return tidyExcept(tensorsOf, () => {
      const first = this.#pass(batch, evaluation, wanted);
      const rest = [...first.routes]
        .slice(1)
        .map((route) => this.#pass(batch, { ...evaluation, writes: 'discard' }, wanted, route));
      const passes = [first, ...rest];
      return {
        total: rest.length === 0 ? first.value : tf.addN(passes.map((pass) => pass.value)),
        values: first.values,
        terms: first.terms,
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
      this.parts.parameters.assign(Object.fromEntries(statistics));
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
    const instead = evaluation.networks?.({
      plugin,
      parameters: network.parameters.map(({ path }) => path),
      inputs,
      run: (given, params = {}) => {
        const substitute = new Map([...evaluation.substitute, ...Object.entries(params)]);
        return network.execute(given, { ...settings, substitute, writes: 'discard' }).outputs;
      },
    });
    if (instead) return instead;
    const { outputs } = network.execute(inputs, settings);
    return detach ? detached(outputs) : outputs;
  }

  /**
   * What each `targets` tap hands on when a step evaluates a batch. The caller owns what is not of the
   * batch.
   */
  targetTrail(batch: Batch): readonly HandedOn<'targets'>[] {
    const outer = this.#current;
    this.#current = this.#evaluation(batch, {}, 'discard');
    try {
      return tidyExcept(
        (trail) => trail.flatMap(({ value }) => Object.values(value)),
        () =>
          this.parts.taps.trail(
            'targets',
            withoutMaskedFaults(batch, this.parts.network.idInputs).targets,
          ),
      );
    } finally {
      this.#current = outer;
    }
  }

  #pass(batch: Batch, evaluation: Evaluation, wanted: (term: Term) => boolean, route?: string) {
    const { parameters } = this.parts;
    const paths = parameters.trainable;
    const xs = paths.map((path) => evaluation.substitute.get(path) ?? parameters.value(path));
    let ledger!: TermTable;
    let here!: string;
    let alone = false;
    const { value, beside, gradients } = valueAndGradients(() => {
      ledger = this.#run(batch, evaluation);
      here = route ?? routeOf(ledger.terms.find(wanted));
      const total = ledger.total((term) => wanted(term) && routeOf(term) === here);
      alone = ledger.terms.length === 1 && total === ledger.terms[0]!.value;
      return { value: total, aux: alone ? [] : ledger.terms.map((term) => term.value) };
    }, xs);
    const groups = here === EVERYTHING ? parameters.groups : (JSON.parse(here) as string[]);
    this.#checkGroups(groups, ledger.terms);
    const reached = paths
      .map((path, i) => [path, gradients[i]] as const)
      .filter(([path, gradient]) => gradient && groups.includes(parameters.findGroup(path)));
    return {
      value,
      values: alone ? [value] : beside,
      terms: ledger.terms.map(({ name, weight, replacedBy }) => ({
        name,
        weight,
        ...(replacedBy !== undefined && { replacedBy }),
      })),
      routes: new Set([here, ...ledger.terms.filter(wanted).map(routeOf)]),
      gradients: Object.fromEntries(reached) as NamedTensors,
    };
  }

  /** One forward pass through every plugin. */
  #run(raw: Batch, evaluation: Evaluation): TermTable {
    const given = withoutMaskedFaults(raw, this.parts.network.idInputs);
    const { network, taps, losses, features, logits, clock, semantics } = this.parts;
    const outer = this.#current;
    this.#current = evaluation;
    try {
      const { masks, ...forward } = network.execute(given.inputs, {
        ...evaluation,
        training: true,
        features,
        logits,
        masks: semantics === 'espalier',
      });
      const targets = taps.call('targets', given.targets);
      for (const name of Object.keys(losses)) {
        checkOutputShape(name, forward.outputs[name]!, network.outputShapes[name]!);
      }
      const counting = countingOf(given, targets, masks);
      const { batch, steps } = counting;
      const ledger = new TermTable();
      const task = ledger.viewFor('task', true, () => false);
      const valid = testTargets(losses, targets, network.outputShapes, given.weights);
      const reduce = (values: Tensor1D, weights?: Tensor1D, divisor?: number) => {
        refuseForeignTensor('what mean was given', values);
        return meanOverPresent(valid ? poison(values, valid) : values, batch, weights, divisor);
      };
      const mean = (values: Tensor1D) => reduce(values);
      addTaskTerms(losses, { ...forward, targets, ...counting, reduce }, task.add);
      this.#addPenalties(ledger, evaluation);
      if (taps.used('loss')) {
        // Each tap gets its own view of the ledger, made where taps are wrapped.
        const shared = ledger as unknown as LossTerms;
        const nested = !(evaluation.writes instanceof Map);
        const context = { batch, targets, steps, terms: shared, training: true, nested };
        taps.call('loss', { ...forward, ...context, clock, mean });
      }
      return ledger;
    } finally {
      this.#current = outer;
    }
  }

  /** The terms of the layers' regularizers; each counts once, in tfjs once for each call. */
  #addPenalties(ledger: TermTable, { substitute }: Evaluation): void {
    const { allNetworks, semantics } = this.parts;
    const { add } = ledger.viewFor('regularization', true, () => false);
    for (const network of allNetworks) {
      if (network.regularizers.length === 0) continue;
      network.withValues(substitute, () =>
        network.regularizers.forEach(({ path, timesInTfjs, penalty }) => {
          const weight = semantics === 'tfjs' ? timesInTfjs : 1;
          if (weight > 0) add(path, penalty(), { weight });
        }),
      );
    }
  }

  #evaluation(batch: Batch, options: ObjectiveOptions, writes: Writes): Evaluation {
    const { seed, semantics } = this.parts;
    const draws = [batch.key, options.rng === 'fresh' ? this.#nextFresh() : 'replay'] as const;
    const random = (layer: string) => lazily(() => keyedRng(seed, 'forward', ...draws, layer));
    const depth = (this.#current?.depth ?? -1) + 1;
    if (depth > DEEPEST) throw endless();
    const substitute = new Map(Object.entries(options.params ?? {}));
    const freeze = semantics === 'espalier';
    return { substitute, writes, random, freeze, draws, depth, networks: options.networks };
  }

  /** Counts from 0 in every step, so that a resumed run draws the same. */
  #nextFresh(): string {
    const { step } = this.parts.clock;
    if (this.#fresh.step !== step) this.#fresh = { step, count: 0 };
    return `fresh ${step} ${this.#fresh.count++}`;
  }

  #check({ params = {} }: ObjectiveOptions): void {
    for (const path of Object.keys(params)) this.parts.parameters.findGroup(path);
  }

  #checkGroups(groups: readonly string[], terms: readonly Term[]): void {
    const known = this.parts.parameters.groups;
    const unknown = groups.find((group) => !known.includes(group));
    if (unknown === undefined) return;
    const term = terms.find(({ groups: trains }) => trains?.includes(unknown))?.name;
    throw new EspalierError('terms/unknown-group', {
      problem: `the loss term '${term}' trains the group '${unknown}', which has no parameters`,
      fix: suggest(unknown, known),
    });
  }
}

function tensorsOf({ total, values, gradients }: Gradients): Tensor[] {
  return [total, ...values, ...Object.values(gradients)];
}

function detached(outputs: NamedTensors): NamedTensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, stopGradient(output)]),
  );
}

const EVERYTHING = 'everything';
const all = () => true;

function routeOf(term: Term | undefined): string {
  return term?.groups ? JSON.stringify([...term.groups].sort()) : EVERYTHING;
}

interface TaskContext extends Pick<LossContext, 'outputs' | 'targets'>, Counting {
  reduce(values: Tensor1D, weights?: Tensor1D, divisor?: number): Scalar;
}

function addTaskTerms(
  losses: Readonly<Record<string, Loss>>,
  { batch, outputs, targets, steps, present, reduce }: TaskContext,
  add: (name: string, value: Scalar) => void,
): void {
  const names = Object.keys(losses);
  for (const name of names) {
    const loss = losses[name]!;
    checkWeighsSteps(name, loss, steps[name]);
    const values = loss.perExample(outputs[name]!, targets[name]!, steps[name]);
    refuseForeignTensor(`what the loss '${loss.name}' gives`, values);
    const value = reduce(values, present[name], batch.divisors?.[name]);
    add(names.length === 1 ? loss.name : `${name}/${loss.name}`, value);
  }
}

/** NaN for examples whose targets are wrong: the step then ends before anything is applied. */
function poison(values: Tensor1D, valid: Tensor1D): Tensor1D {
  return tf.where(valid, values, tf.tensor1d(new Float32Array(values.size).fill(NaN)));
}

function endless(): EspalierError {
  return new EspalierError('objective/endless', {
    problem: `${DEEPEST} evaluations of the objective run inside each other: a 'targets' or 'loss' tap evaluates it every time`,
    fix: 'Evaluate it in beforeStep, or skip the nested call with a flag.',
  });
}

/** Most layers draw nothing: their stream is made at the first draw. */
function lazily(make: () => Rng): Rng {
  let draw: Rng | undefined;
  return () => (draw ??= make())();
}
