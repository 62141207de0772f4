import {
  EspalierError,
  listLayersTo,
  countMacsTo,
  Network,
  suggest,
  toCanonicalName,
  viewModel,
} from '@espalier/core';
import type { Head, Macs, ModelView } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { rankExit } from '../exits/exit-names.js';

/** The stretch of a network from the exit before to this one. */
export interface Stage {
  readonly exit: string;
  readonly logits: SymbolicTensor;
  /** Runs the layers of this stage as if the exit ended before its softmax, if it has one. */
  withLogits<T>(fn: () => T): T;
  /** What later stages need of all that was computed up to here. */
  readonly carried: readonly SymbolicTensor[];
  /** Multiply-accumulates per example of this stage and all before, their exits included, if known. */
  readonly macs: Macs;
}

/** Tensors by their symbols in a model. */
export type Values = ReadonlyMap<SymbolicTensor, Tensor>;

/**
 * Cuts a model at its exits, shallowest first: those of `multiExit` in its order, before others, which go
 * by their cost. Any directed graph can be cut: where an exit does not
 * stand at a merge point, its stage carries several tensors.
 *
 * @param exits Output names; default all.
 * @throws EspalierError `early-exit/unknown-exit`, `early-exit/not-logits`, `early-exit/masks`.
 */
export function cutStages(model: LayersModel, exits?: readonly string[]): readonly Stage[] {
  const view = viewModel(model);
  refuseMasks(model);
  const { outputNames, ownNames } = view;
  const sorted = (exits ?? outputNames)
    .map((name) => toCanonicalName(name, outputNames, ownNames))
    .map((exit) => ({ exit, logits: findOutput(view, exit) }))
    .map((each) => ({ ...each, cost: orderingCost(view, each.exit) }))
    .sort(byDepth);
  checkLogits(sorted);
  const network = new Network(model);
  const squashed = sorted
    .map(({ exit }) => exit)
    .filter((exit) => endsInSoftmax(network.heads[exit]!, exit));
  const names = sorted.map(({ exit }) => exit);
  const done = new Set<SymbolicTensor>(model.inputs);
  return sorted.map(({ exit, logits }, i) => {
    listNeeded(logits, done).forEach((symbol) => done.add(symbol));
    const later = sorted.slice(i + 1).map((each) => each.logits);
    const macs = countMacsTo(view, names.slice(0, i + 1));
    const withLogits = <T>(fn: () => T) =>
      network.withLogits(squashed.includes(exit) ? [exit] : [], fn);
    return { exit, logits, withLogits, carried: frontier(later, done), macs };
  });
}

/** `multiExit`'s own exits by number before all others, which go by their cost. */
function byDepth(a: { exit: string; cost: number }, b: { exit: string; cost: number }): number {
  const [first, second] = [rankExit(a.exit), rankExit(b.exit)];
  return first === second ? a.cost - b.cost : first - second;
}

/** Its multiply-accumulates; where one of an exit's layers does not tell them, how many layers it has. */
function orderingCost(view: ModelView, exit: string): number {
  const known = view.outputNames.every((name) => countMacsTo(view, [name]) !== undefined);
  return known ? countMacsTo(view, [exit])! : listLayersTo(view, [exit]).length;
}

/** Runs a stage. The caller owns logits `[rows, classes]` and what is carried on. */
export function runStage(
  { logits, carried, withLogits }: Stage,
  values: Values,
): { readonly logits: Tensor; readonly carried: Values } {
  const [result, ...rest] = tf.tidy(() => {
    const known = new Map(values);
    return withLogits(() => [logits, ...carried].map((symbol) => tf.clone(compute(symbol, known))));
  });
  return { logits: result!, carried: new Map(carried.map((symbol, i) => [symbol, rest[i]!])) };
}

/** The value of a symbol, given those of some that it depends on; notes all that it computes. */
export function compute(wanted: SymbolicTensor, known: Map<SymbolicTensor, Tensor>): Tensor {
  const found = known.get(wanted);
  if (found) return found;
  const inputs = wanted.inputs.map((input) => compute(input, known));
  const layer = wanted.sourceLayer;
  const result = layer.apply(inputs.length === 1 ? inputs[0]! : inputs, { training: false });
  const symbols = layer.inboundNodes[wanted.nodeIndex]!.outputTensors;
  [result].flat().forEach((tensor, i) => known.set(symbols[i]!, tensor as Tensor));
  return known.get(wanted)!;
}

function listNeeded(
  wanted: SymbolicTensor,
  done: ReadonlySet<SymbolicTensor>,
): Set<SymbolicTensor> {
  const found = new Set<SymbolicTensor>();
  const visit = (symbol: SymbolicTensor): void => {
    if (done.has(symbol) || found.has(symbol)) return;
    found.add(symbol);
    symbol.inputs.forEach(visit);
  };
  visit(wanted);
  return found;
}

/** What is done and wanted itself, or an input of something wanted that is not done. */
function frontier(
  wanted: readonly SymbolicTensor[],
  done: ReadonlySet<SymbolicTensor>,
): readonly SymbolicTensor[] {
  const missing = wanted.flatMap((symbol) => [...listNeeded(symbol, done)]);
  const used = [...wanted, ...missing.flatMap(({ inputs }) => inputs)];
  return [...new Set(used)].filter((symbol) => done.has(symbol));
}

function findOutput({ outputNames, layersModel }: ModelView, exit: string): SymbolicTensor {
  const index = outputNames.indexOf(exit);
  if (index >= 0) return layersModel.outputs[index]!;
  throw new EspalierError('early-exit/unknown-exit', {
    problem: `the model has no output '${exit}'`,
    received: exit,
    fix: `${suggest(exit, outputNames)} session.export({ outputs: [ … ] }) keeps exits.`,
  });
}

function checkLogits(exits: readonly { exit: string; logits: SymbolicTensor }[]): void {
  const classes = exits.at(-1)?.logits.shape[1];
  for (const { exit, logits } of exits) {
    if (logits.shape.length === 2 && classes && logits.shape[1] === classes) continue;
    throw new EspalierError('early-exit/not-logits', {
      problem: `exit '${exit}' must give logits [batch, ${classes ?? 'classes'}], as the last exit does`,
      received: logits.shape,
      fix: 'Name the outputs that are exits with the option exits.',
    });
  }
}

function endsInSoftmax({ gives, activation, hasLogits, layer }: Head, exit: string): boolean {
  if (gives !== 'probabilities') return false;
  if (activation === 'softmax' && hasLogits) return true;
  throw new EspalierError('early-exit/not-logits', {
    problem: `exit '${exit}' gives probabilities that no softmax over classes makes last: see layer '${layer}'`,
    received: activation,
    fix: 'End exits in softmax or in nothing.',
  });
}

function refuseMasks(model: LayersModel): void {
  const masking = model.layers.find(
    (layer) => layer.getClassName() === 'Masking' || layer.getConfig()['maskZero'] === true,
  );
  if (!masking) return;
  throw new EspalierError('early-exit/masks', {
    problem: `layer '${masking.name}' computes a mask, which early exit does not carry from stage to stage`,
    fix: 'Mask inside the model by arithmetic, or run all of it with model.predict.',
  });
}
