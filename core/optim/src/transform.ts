import { EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { valueAt } from './schedules.js';

/**
 * The whole state of a transform: slot name, e.g. `'adam/m'` → parameter path, e.g.
 * `'conv2d_1/kernel'` → tensor, mostly of the parameter's shape.
 */
export type OptimizerState = Readonly<Record<string, NamedTensors>>;

/** What a transform learns about the step that it computes. */
export interface GradientTransformInfo {
  /** Optimizer steps done before this one, from 0: counted by the framework, so resume is exact. */
  readonly step: number;
  /** What the caller multiplies the updates by before it adds them; default 1. */
  readonly updateScale?: number;
}

/** A constant, or a pure function of the optimizer step (from 0). */
export type Schedule = number | ((step: number) => number);

/**
 * A pure step from gradients to updates, as in optax; `chain` composes them. A path without a
 * gradient is not touched: it gets no update, and its state stays. Call `update` in a `tf.tidy` and keep
 * what it returns; {@link applyUpdates} adds the updates to the parameters.
 */
export interface GradientTransform {
  /** Its name, the start of its slot names. */
  readonly name: string;
  /** False where a checkpoint of the state cannot resume the transform exactly. */
  readonly resumable?: boolean;
  /** The state before the first step. Slot names start with `name/` and do not depend on `params`. */
  init(params: NamedTensors): OptimizerState;
  /**
   * `updates` are to be added to the parameters. Disposes and changes no argument; returned tensors
   * are new or pass through, and one may be both an update and part of the state.
   */
  update(
    grads: NamedTensors,
    state: OptimizerState,
    params: NamedTensors,
    info: GradientTransformInfo,
  ): { readonly updates: NamedTensors; readonly state: OptimizerState };
  /**
   * The size of the factor by which it multiplies the gradient of a parameter at a step: its learning rate,
   * and 1 for one that has none (clipping, momentum). Undefined, or absent: nobody can tell.
   */
  learningRate?(step: number, path: string): number | undefined;
  /**
   * What its steps depend on beside the state, plain data by name: a checkpoint holds it, and a run with another
   * learning rate is told. Absent: nobody can tell.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Frees what the transform holds outside its state, if anything. */
  dispose?(): void;
}

/** `learningRate` of a transform that has none. */
export const noRate = (): number => 1;

/** `learningRate` of one that multiplies by a schedule; the sign is no part of it. */
export function rateOf(factor: Schedule): (step: number) => number {
  return (step) => Math.abs(valueAt(factor, step));
}

type State<S extends readonly string[]> = { readonly [I in keyof S]: Tensor };
type Kernel<S extends readonly string[]> = (
  grad: Tensor,
  state: State<S>,
  param: Tensor,
) => readonly [update: Tensor, ...state: State<S>];

/**
 * A transform that treats every parameter alone. `prepare` runs once a step and makes the scalars
 * that all parameters share; the kernel's intermediates are freed parameter by parameter.
 *
 * @param initial First value of every slot.
 * @throws EspalierError `optim/missing-slot` in `update`, for a path that init never saw.
 * @example
 * const sign = perParameter('sign', [], () => (grad) => [tf.sign(grad)]);
 */
export function perParameter<const S extends readonly string[]>(
  name: string,
  slotNames: S,
  prepare: (info: GradientTransformInfo) => Kernel<S>,
  initial: (param: Tensor) => Tensor = tf.zerosLike,
): GradientTransform {
  const keys = slotNames.map((slot) => `${name}/${slot}`);
  return {
    name,
    init(params) {
      const first = () => Object.entries(params).map(([path, param]) => [path, initial(param)]);
      return Object.fromEntries(keys.map((key) => [key, Object.fromEntries(first())]));
    },
    update(grads, before, params, info) {
      const kernel = prepare(info);
      const updates: Record<string, Tensor> = {};
      const next = keys.map((key): Record<string, Tensor> => ({ ...before[key] }));
      for (const [path, grad] of Object.entries(grads)) {
        const state = next.map(
          (slot) => slot[path] ?? throwMissing(name, path),
        ) as unknown as State<S>;
        const param = params[path] ?? throwMissing(name, path);
        const [update, ...after] = tf.tidy(() => [...kernel(grad, state, param)] as Tensor[]);
        Object.assign(updates, { [path]: update });
        next.forEach((slot, i) => Object.assign(slot, { [path]: after[i] }));
      }
      return { updates, state: Object.fromEntries(keys.map((key, i) => [key, next[i] ?? {}])) };
    },
  };
}

function throwMissing(owner: string, path: string): never {
  throw new EspalierError('optim/missing-slot', {
    problem: `${owner}: '${path}' has a gradient, but no parameter or no slot`,
    fix: 'Call init with all parameters; after a structural edit, call migrateOptimizerState.',
  });
}
