import { compressionReport } from '@espalier/compression';
import type { CompressionReportLine } from '@espalier/compression';
import {
  buildModel,
  canonicalNames,
  createSession,
  disposeModel,
  extractGraph,
  listOwnNames,
  meanSquaredError,
  Network,
  resolvePreset,
  sgd,
  toCanonicalName,
} from '@espalier/core';
import type { Inspection, Session } from '@espalier/core';
import { countBytes, packArtifact } from '@espalier/formats';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { countMatrixBytes } from './bytes.js';
import { missedTarget } from './errors.js';
import { findWorstError } from './fidelity.js';
import { checkOptions } from './options.js';
import type { CompressOptions } from './options.js';
import { planCompression, withTarget } from './plan.js';
import type { Plan } from './plan.js';
import { withWholeLimits } from './target.js';

/** A compressed model. */
export interface CompressedModel {
  /** A new model; the caller disposes it with `disposeModel`. */
  readonly model: LayersModel;
  /** Plugins with their options, backend and edits. */
  readonly inspection: Inspection;
  /** What each plugin did to each layer, in order. */
  readonly steps: readonly CompressionReportLine[];
  /** Ids of plugins of the preset that were left out because there are no word counts. */
  readonly leftOut: readonly string[];
}

const ATTEMPTS = 4;
/** In the first attempt, a twenty-fifth of the target is left for scales of codes and for maps. */
const ALLOWANCE = 1.04;

/**
 * Compresses the matrices of a model, without training it.
 *
 * The size of codes is only known after quantization. A result that misses the target is made again with a
 * tighter one, in at most 4 attempts.
 *
 * @param model Stays as it is.
 * @throws EspalierError `options/invalid`, `compress/targets`; `compress/no-plugin` and `compress/no-counts` for
 * options that the preset cannot take; `compress/reached-by-bits`, `compress/impossible-target` and
 * `compress/missed-target` for targets; the errors of the plugins.
 * @example
 * const { model, steps } = await compressModel(trained, { preset: svd(), ratio: 6, layers: ['embedding'] });
 */
export async function compressModel(
  model: LayersModel,
  options: CompressOptions,
): Promise<CompressedModel> {
  return runPlan(model, await makePlan(nameLayers(options, model)), options);
}

/** The layers by their canonical names, where they are called as in the model. */
function nameLayers(options: CompressOptions, model: LayersModel): CompressOptions {
  checkOptions(options);
  if (!options.layers) return options;
  const known = [...canonicalNames(model).values()];
  const ownNames = listOwnNames(model);
  return {
    ...options,
    layers: options.layers.map((name) => toCanonicalName(name, known, ownNames)),
  };
}

/** Checks the options and applies them to the preset. This imports the preset's plugins. */
export async function makePlan(options: CompressOptions): Promise<Plan> {
  checkOptions(options);
  const { preset, load, modules } = options;
  const { manifest } = await resolvePreset(preset, {
    ...(load && { load }),
    ...(modules && { modules }),
  });
  return planCompression(manifest, options);
}

/** Makes attempts until one keeps the target. */
export async function runPlan(
  model: LayersModel,
  plan: Plan,
  options: CompressOptions,
): Promise<CompressedModel> {
  let tightness = plan.bits === 32 || plan.target?.option === 'maxError' ? 1 : ALLOWANCE;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const result = await runAttempt(model, plan, options, tightness);
    const miss = await measureMiss(model, result, plan, options);
    if (miss <= 1) return result;
    disposeModel(result.model);
    options.onEvent?.({ type: 'retry', miss });
    tightness *= miss * 1.0005;
  }
  throw missedTarget(ATTEMPTS, plan.target!, plan.bits);
}

async function runAttempt(
  model: LayersModel,
  plan: Plan,
  { preset, load, modules, backend, onEvent }: CompressOptions,
  tightness: number,
): Promise<CompressedModel> {
  const session = await createSession({
    model: () => buildModel(extractGraph(model)),
    preset,
    overrides: withTarget(plan, tightness),
    ...(load && { load }),
    ...(modules && { modules }),
    ...(backend && { backend }),
    // A session needs a loss and an optimizer; `transform` uses neither.
    loss: { [new Network(model).outputNames[0]!]: meanSquaredError() },
    optimizer: sgd({ learningRate: 1 }),
  });
  try {
    session.telemetry.on('warning', ({ message }) => onEvent?.({ type: 'warning', message }));
    session.telemetry.on('progress', ({ what, done, total }) =>
      onEvent?.({ type: 'progress', what, done, total }),
    );
    await transform(session, plan, tightness);
    const inspection = session.inspect();
    const steps = compressionReport(inspection.edits);
    return { model: session.export(), inspection, steps, leftOut: plan.leftOut };
  } finally {
    await session.dispose();
  }
}

async function transform(session: Session, { bits }: Plan, tightness: number): Promise<void> {
  try {
    await session.transform();
  } catch (error) {
    throw withWholeLimits(error, bits, tightness);
  }
}

/** The factor by which a result misses the target; at most 1: it keeps it. */
async function measureMiss(
  original: LayersModel,
  compressed: CompressedModel,
  { target, shrinker, bits, overrides }: Plan,
  { counts }: CompressOptions,
): Promise<number> {
  if (!target || bits === 32) return 0;
  if (target.option === 'maxError') {
    const weights = overrides['word-importance'] === false ? undefined : counts;
    return (await findWorstError({ original, compressed, counts: weights })) / target.value;
  }
  const lines = compressed.steps.filter(({ plugin }) => plugin === shrinker);
  const { layers } = countBytes(await packArtifact({ model: compressed.model }));
  const bytes = lines.reduce((sum, { layer }) => sum + countMatrixBytes(layers, layer), 0);
  const dense = lines.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0);
  return bytes / (target.option === 'ratio' ? dense / target.value : target.value);
}
