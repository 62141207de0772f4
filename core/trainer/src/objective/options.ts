import type { NamedTensors } from '@espalier/base';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { Term } from './loss-terms.js';

/** Says whether a term counts, and at which weight of its own. */
export type ChooseTerm = (term: Term) => boolean | number;

/** How to evaluate the loss of the run. */
export interface ObjectiveOptions {
  /** Values to use instead of the current parameters, by path; tape tensors are welcome. */
  readonly params?: NamedTensors;
  /** `replay` (default): the draws that the step itself makes on this batch; `fresh`: new ones. */
  readonly rng?: 'replay' | 'fresh';
  /** `keep` (default): moving statistics stay as they are; `update`: this evaluation moves them. */
  readonly state?: 'keep' | 'update';
  /**
   * Which terms count: `true` at its weight in the loss of the run, a number its unweighted value times that
   * number, `false` and 0 not at all. Default all.
   */
  readonly terms?: ChooseTerm;
  /** Replaces plugins' own networks: returns the outputs of a call, or nothing to run the network. */
  readonly networks?: (call: NetworkCall) => NamedTensors | undefined;
}

/** One call of a plugin's own network in an evaluation. */
export interface NetworkCall {
  /** The plugin that added the network. */
  readonly plugin: string;
  /** Paths of the network's parameters; they distinguish two networks of one plugin. */
  readonly parameters: readonly string[];
  /** The inputs of the call: tensors of the evaluation. */
  readonly inputs: NamedTensors;
  /**
   * Runs the network as the evaluation would (same draws, moving statistics unchanged), at other
   * parameters or on other inputs if wished. It may be kept and called after the evaluation.
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

/** A plugin's own network. Inside a `loss` tap it runs at the parameters of that evaluation. */
export interface AuxiliaryNetwork {
  execute(inputs: NamedTensors, options?: AuxiliaryOptions): NamedTensors;
}

/** How to run a plugin's own network. */
export interface AuxiliaryOptions {
  /**
   * Returns outputs through which no gradient flows, so that the loss does not train this network.
   * An evaluation that replaces these outputs (`networks`) may still differentiate by them.
   */
  readonly detach?: boolean;
}
