import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs itself; a later import would overwrite the repaired ones.
import '@tensorflow/tfjs-layers';
import { activations } from './activations.js';
import { batchNormTraining, skipAbsentGradients } from './batch-norm-training.js';
import { broadcasting } from './broadcasting.js';
import { comparisons } from './comparisons.js';
import { convolution3d } from './convolution-3d.js';
import { convolution } from './convolution.js';
import { einsum } from './einsum.js';
import { gradientEngine, patchEngine, wrapMethod } from './engine.js';
import type { EnginePatch, Uninstall } from './engine.js';
import { repairFusedConvolutions } from './fused.js';
import { indexing } from './indexing.js';
import { normalization } from './normalization.js';
import { allowOptionalInputs } from './optional-inputs.js';
import { pooling } from './pooling.js';
import { rearranging } from './rearranging.js';
import { reductions } from './reductions.js';
import { resize } from './resize.js';
import { scan } from './scan.js';
import { zeroStoppedInputs } from './stopped-inputs.js';
import { repairTapeOrder } from './tape-order.js';

const registrations: readonly tf.GradConfig[] = [
  ...activations,
  ...batchNormTraining,
  ...broadcasting,
  ...comparisons,
  ...convolution,
  ...convolution3d,
  ...einsum,
  ...indexing,
  ...normalization,
  ...pooling,
  ...rearranging,
  ...reductions,
  ...resize,
  ...scan,
];

let installation: { users: number; readonly undo: Uninstall } | undefined;

/**
 * Whether the repairs of {@link installGradients} are in force.
 *
 * @example
 * if (!gradientsInstalled()) console.warn('second derivatives may be wrong');
 */
export const gradientsInstalled = (): boolean => installation !== undefined;

/**
 * Repairs the gradients of TensorFlow.js 4.22: those that are wrong, missing or throw, and, by the
 * order of the tape, second derivatives. {@link gradientRepairs} says what and how. Nothing changes but
 * the gradient registry and methods of the `tf.engine()` object.
 *
 * Repeated calls share one installation; it is undone, exactly, when each caller has called the
 * function that it got.
 *
 * @throws EspalierError `backend/unexpected-engine` if the engine is not the one that the repairs are made for.
 * @example
 * ```ts
 * const uninstall = installGradients();
 * const d2 = tf.grad(tf.grad((x) => tf.sum(tf.tanh(x))))(tf.scalar(0.5)); // -0.727, not an error
 * uninstall();
 * ```
 */
export function installGradients(): Uninstall {
  installation ??= { users: 0, undo: install() };
  installation.users += 1;
  let released = false;
  return () => {
    if (released || !installation) return;
    if (installation.users === 1) installation.undo();
    released = true;
    installation.users -= 1;
    if (installation.users === 0) installation = undefined;
  };
}

const enginePatches: readonly EnginePatch[] = [
  repairFusedConvolutions,
  repairTapeOrder,
  allowOptionalInputs,
  zeroStoppedInputs,
  skipAbsentGradients,
  watchRegistry,
];

function install(): Uninstall {
  const restoreEngine = patchEngine(gradientEngine(), enginePatches);
  const restoreRegistry = registerAll();
  return () => {
    restoreEngine();
    restoreRegistry();
  };
}

function registerAll(): Uninstall {
  const previous = registrations.map(({ kernelName }) => tf.getGradient(kernelName));
  registrations.forEach((config) => tf.registerGradient(config));
  return () =>
    registrations.forEach((config, i) => {
      const before = previous[i];
      if (before) tf.registerGradient(before);
      else tf.unregisterGradient(config.kernelName);
    });
}

/** Importing `@tensorflow/tfjs` or tfjs-node registers all original gradients again. */
function watchRegistry(engine: Parameters<EnginePatch>[0]): void {
  wrapMethod(engine, 'gradients', (differentiate) => (...args) => {
    const lost = registrations.find((config) => tf.getGradient(config.kernelName) !== config);
    if (lost) {
      throw new EspalierError('backend/gradient-replaced', {
        problem:
          `The repaired gradient of ${lost.kernelName} was replaced after installGradients(), ` +
          'usually by importing @tensorflow/tfjs or @tensorflow/tfjs-node later',
        fix: 'Import them first, or call installGradients() again after undoing the first call.',
      });
    }
    return differentiate(...args);
  });
}
