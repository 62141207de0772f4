import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { gradientEngine, patchEngine, wrapMethod } from './engine.js';
import type { GradientEngine } from './engine.js';
import { gradientsInstalled } from './install.js';
import { unsafeSecondOrder } from './unsafe.js';

/** Options of {@link guardSecondOrder}. */
export interface GuardOptions {
  /** The layer that runs just now, for the error message; asked while operations are recorded. */
  readonly labelOf?: () => string | undefined;
}

/**
 * Runs `fn` so that differentiating an operation twice, where that is not safe, throws an error
 * that names the operation and the layer instead of giving a silently wrong number. Safe
 * operations, and unsafe ones that are differentiated once, run as always.
 *
 * Two kinds are unsafe: the operations in {@link unsafeSecondOrder}, and every `tf.customGrad` that
 * saves a value which its own forward pass computed: that value is a constant for the tape. Not
 * seen: a custom gradient that closes over numbers read from tensors.
 *
 * @throws EspalierError `gradient/not-installed` if {@link installGradients} is not in force,
 * `gradient/unsafe-second-order` as described.
 * @example
 * ```ts
 * const hessianVector = guardSecondOrder(
 *   () => tf.grad((x) => tf.sum(tf.mul(tf.grad(loss)(x), v)))(x),
 *   { labelOf: () => currentLayer?.name },
 * );
 * ```
 */
export function guardSecondOrder<T>(fn: () => T, options: GuardOptions = {}): T {
  if (!gradientsInstalled()) {
    throw new EspalierError('gradient/not-installed', {
      problem:
        'guardSecondOrder needs the repaired gradients: without them most operations are unsafe',
      fix: 'Call installGradients() first (useBackend() does).',
    });
  }
  const engine = gradientEngine();
  const watch = () =>
    wrapMethod(engine, 'addTapeNode', (record) => (...args) => {
      record(...args);
      const danger = findDanger(engine, args);
      if (danger) refuseSecondOrder(engine, args, danger, options.labelOf?.());
    });
  const undo = patchEngine(engine, [watch]);
  try {
    return fn();
  } finally {
    undo();
  }
}

type Recorded = Parameters<GradientEngine['addTapeNode']>;

interface Danger {
  readonly why: string;
  readonly instead: string;
}

function findDanger(engine: GradientEngine, recorded: Recorded): Danger | undefined {
  const [name, , , , saved] = recorded;
  const known = unsafeSecondOrder.find(({ recordedAs }) => recordedAs === name);
  if (known && (saved.length > 0 || tf.getGradient(name))) return known;
  return savesIntermediate(engine, recorded) ? customGradient : undefined;
}

const customGradient: Danger = {
  why:
    'Its custom gradient saves a value that its forward pass computed, which the tape does not ' +
    'know: the second derivative would lack that part.',
  instead: 'Save only inputs and outputs.',
};

/** They save their output before its last reshape, but use it only with activations not fused here. */
const savesUnused = ['fusedMatMul__op', 'fusedConv2d__op', 'fusedDepthwiseConv2d__op'];

/** After a custom gradient's forward pass, its own intermediate results are disposed. */
function savesIntermediate(engine: GradientEngine, recorded: Recorded): boolean {
  const [name, , outputs, , saved] = recorded;
  if (saved.length === 0 || tf.getGradient(name) || savesUnused.includes(name)) return false;
  const clones = engine.state.activeTape!.filter(({ outputs: [y] }) => y && saved.includes(y));
  return clones.some(({ inputs }) => inputs['x']!.isDisposed && !outputs.includes(inputs['x']!));
}

function refuseSecondOrder(
  engine: GradientEngine,
  [name, , outputs]: Recorded,
  danger: Danger,
  layer: string | undefined,
): void {
  const node = engine.state.activeTape!.find((candidate) => candidate.outputs === outputs)!;
  const gradient = node.gradient!;
  node.gradient = (dys) => {
    // While the tape is on, this gradient is itself recorded, to be differentiated again.
    if (engine.isTapeOn()) throw unsafeError(name, layer, danger);
    return gradient(dys);
  };
}

function unsafeError(
  name: string,
  layer: string | undefined,
  { why, instead }: Danger,
): EspalierError {
  const op = name === 'unnamed scope' ? 'a tf.customGrad' : name.replace(/__op$/, '');
  const where = layer ? ` in layer '${layer}'` : '';
  return new EspalierError('gradient/unsafe-second-order', {
    problem: `Second-order gradient through ${op}${where} is not safe. ${why}`,
    fix: instead,
  });
}
