import type { BackendInfo } from '@espalier/backend';
import { compressionReport } from '@espalier/compression';
import type { CompressionReportLine } from '@espalier/compression';
import type { Modules } from '@espalier/config';
import {
  buildModel,
  createSession,
  disposeModel,
  EspalierError,
  extractGraph,
  meanSquaredError,
  Network,
  sgd,
} from '@espalier/core';
import type { Inspection, PresetSource, Session } from '@espalier/core';
import { countBytes, packArtifact } from '@espalier/formats';
import type { ArtifactBytes } from '@espalier/formats';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { explainError } from './explain-error.js';
import { withTarget } from './plan.js';
import type { Plan } from './plan.js';
import type { Progress } from './progress.js';

/** A model after its transforms. */
export interface CompressedModel {
  /** The caller's. */
  readonly model: LayersModel;
  readonly inspection: Inspection;
  /** What each plugin did to each layer. */
  readonly account: readonly CompressionReportLine[];
}

/** What a compression needs. */
export interface CompressionTask {
  /** Stays as it is. */
  readonly model: LayersModel;
  readonly preset: PresetSource;
  readonly plan: Plan;
  readonly modules: Modules;
  readonly backend: BackendInfo;
  readonly progress: Progress;
  /** How far a result misses `--max-error`, as a factor; at most 1 is well. */
  readonly errorOf: (result: CompressedModel) => Promise<number>;
}

const ATTEMPTS = 4;
/** What is left at first for the scales of codes and for maps: a twenty-fifth. */
const ALLOWANCE = 1.04;

/**
 * Transforms the model so that the result, codes and all, keeps the target: what quantization adds
 * is known only afterwards, so a result that misses is made again with a tighter target.
 *
 * @throws EspalierError from the plugins; `cli/compress` where the target cannot be kept.
 */
export async function compressModel(compression: CompressionTask): Promise<CompressedModel> {
  let tightness = estimateTightness(compression.plan);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const result = await runAttempt(compression, tightness);
    const miss = await measureMiss(result, compression);
    if (miss <= 1) return result;
    disposeModel(result.model);
    compression.progress.say(`misses the target by ${formatPercent(miss - 1)}; once more`);
    tightness *= miss * 1.0005;
  }
  const { target, bits } = compression.plan;
  throw new EspalierError('cli/compress', {
    problem: `no result in ${ATTEMPTS} attempts kept --${target?.kind}: codes of ${bits} bits alone may miss it`,
    received: target?.value,
    fix: 'Allow more, or choose more --bits.',
  });
}

function estimateTightness({ bits, target }: Plan): number {
  return bits === 32 || target?.kind === 'max-error' ? 1 : ALLOWANCE;
}

async function runAttempt(
  { model, preset, plan, modules: { load }, backend, progress }: CompressionTask,
  tightness: number,
): Promise<CompressedModel> {
  const session = await createSession({
    model: () => buildModel(extractGraph(model)),
    preset,
    overrides: withTarget(plan, tightness),
    load,
    backend,
    // A session has a loss and an optimizer, which a transform alone never uses.
    loss: { [new Network(model).outputNames[0]!]: meanSquaredError() },
    optimizer: sgd({ learningRate: 1 }),
  });
  try {
    progress.follow(session.telemetry);
    await runTransform(session, plan, tightness);
    const inspection = session.inspect();
    return { model: session.export(), inspection, account: compressionReport(inspection.edits) };
  } finally {
    await session.dispose();
  }
}

async function runTransform(session: Session, plan: Plan, tightness: number): Promise<void> {
  try {
    await session.transform();
  } catch (error) {
    throw explainError(error, plan, tightness);
  }
}

async function measureMiss(
  result: CompressedModel,
  { plan, errorOf }: CompressionTask,
): Promise<number> {
  const { target, shrinker } = plan;
  if (!target || plan.bits === 32) return 0;
  if (target.kind === 'max-error') return errorOf(result);
  const lines = result.account.filter(({ plugin }) => plugin === shrinker);
  const { layers } = countBytes(await packArtifact({ model: result.model }));
  const bytes = lines.reduce((sum, { layer }) => sum + countMatrixBytes(layers, layer), 0);
  const dense = lines.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0);
  return bytes / (target.kind === 'ratio' ? dense / target.value : target.value);
}

/** Bytes of a layer's matrix, everything that belongs to it counted; not its bias. */
export function countMatrixBytes(layers: ArtifactBytes['layers'], name: string): number {
  const weights = layers.find(({ layer }) => layer === name)?.weights ?? [];
  return weights
    .filter((weight) => weight.name !== 'bias')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}

function formatPercent(share: number): string {
  return `${(100 * share).toPrecision(2)} %`;
}
