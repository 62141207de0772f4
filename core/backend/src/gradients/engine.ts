import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/** Undoes an installation. Calling it twice does nothing more. */
export type Uninstall = () => void;

type TensorMap = Record<string, tf.Tensor | undefined>;

interface TapeNode {
  readonly id: number;
  readonly kernelName: string;
  readonly inputs: TensorMap;
  readonly outputs: readonly tf.Tensor[];
  readonly saved?: readonly tf.Tensor[];
  gradient?: (dys: tf.Tensor[]) => Record<string, () => tf.Tensor>;
}

/** The part of the tfjs engine that records and replays operations; its types hide most of it. */
export interface GradientEngine {
  readonly state: { readonly activeTape: TapeNode[] | null };
  isTapeOn(): boolean;
  runKernel(kernelName: string, inputs: TensorMap, attrs?: object): tf.Tensor | tf.Tensor[];
  getTensorsForGradient(kernelName: string, inputs: TensorMap, outputs: tf.Tensor[]): tf.Tensor[];
  addTapeNode(
    kernelName: string,
    inputs: TensorMap,
    outputs: tf.Tensor[],
    gradient: tf.GradFunc | null,
    saved: tf.Tensor[],
    attrs: object,
  ): void;
  gradients(
    f: () => tf.Tensor,
    xs: tf.Tensor[],
    dy?: tf.Tensor,
    /** tfjs asks for truth only, so it takes any string for `true`. */
    allowNoGradients?: boolean | 'absent',
  ): { value: tf.Tensor; grads: (tf.Tensor | null)[] };
}

const methods = [
  'isTapeOn',
  'runKernel',
  'getTensorsForGradient',
  'addTapeNode',
  'gradients',
] as const;

/**
 * The engine, checked to have the shape that the patches rely on.
 *
 * @throws EspalierError `backend/unexpected-engine` if a method is missing or a recorded operation is not put last on the tape.
 */
export function gradientEngine(): GradientEngine {
  const engine = tf.engine() as unknown as GradientEngine;
  const missing = methods.filter((name) => typeof engine[name] !== 'function');
  if (missing.length > 0) throw unexpectedEngine(`it has no ${missing.join(', ')}`);
  const tape: TapeNode[] = [];
  const probe: unknown = { state: { activeTape: tape, nextTapeNodeId: 0 } };
  const { addTapeNode } = Object.getPrototypeOf(engine) as GradientEngine;
  addTapeNode.call(probe as GradientEngine, 'probe', {}, [], null, [], {});
  const [node] = tape;
  if (node?.kernelName !== 'probe' || !node.inputs || !node.outputs) {
    throw unexpectedEngine('addTapeNode does not append {kernelName, inputs, outputs} to the tape');
  }
  return engine;
}

const unexpectedEngine = (found: string) =>
  new EspalierError('backend/unexpected-engine', {
    problem:
      `the gradients of TensorFlow.js ${tf.version_core} cannot be repaired: ${found}; ` +
      'the repairs are made for 4.22',
    fix: 'Install @tensorflow/tfjs-core@4.22.0, once (npm ls @tensorflow/tfjs-core).',
  });

/** Replaces methods of the engine object, leaving its class alone. */
export type EnginePatch = (engine: GradientEngine) => void;

/** Wraps one method: `wrap` gets it, bound, and gives the new one. */
export function wrapMethod<Name extends (typeof methods)[number]>(
  engine: GradientEngine,
  name: Name,
  wrap: (original: GradientEngine[Name]) => GradientEngine[Name],
): void {
  engine[name] = wrap(engine[name].bind(engine) as GradientEngine[Name]);
}

/** Applies patches in order and returns the function that takes all of them back, or none. */
export function patchEngine(engine: GradientEngine, patches: readonly EnginePatch[]): Uninstall {
  const before = methods.map((name) => Object.getOwnPropertyDescriptor(engine, name));
  patches.forEach((patch) => patch(engine));
  const patched = methods.map((name) => engine[name]);
  return () => {
    const replaced = methods.find((name, i) => engine[name] !== patched[i]);
    if (replaced) {
      throw new EspalierError('backend/engine-replaced', {
        problem: `cannot restore tf.engine().${replaced}: something replaced it after @espalier/backend did`,
        fix: 'Undo that replacement first.',
      });
    }
    methods.forEach((name, i) => {
      if (before[i]) Object.defineProperty(engine, name, before[i]);
      else delete (engine as Partial<GradientEngine>)[name];
    });
  };
}
