import { canonicalJson, EspalierError } from '@espalier/base';
import type { Run } from '../run.js';
import { cutShortError, isAborted } from './aborted.js';
import type { LoopCheckpoints } from './epoch.js';
import { validate } from './fit.js';
import type { FitOptions, FitResult } from './fit.js';
import type { Stage } from './stage.js';
import type { TransformOptions } from './transform.js';

/** How to run stages. */
export type StagesOptions = Pick<FitOptions, 'signal' | 'goOn'>;

/** How a run of stages ended. */
export interface StagesResult extends FitResult {
  /** Numbers of the model as it now is: of the last epoch, or the validation's after a transform. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** What a run of stages needs of a session. */
export interface StagesHost {
  readonly run: Run;
  fit(options: FitOptions): Promise<FitResult>;
  transform(options: TransformOptions): Promise<void>;
  readonly checkpoints: Pick<LoopCheckpoints, 'saveIfChanged'>;
  /** Does work during which nothing else may change or dispose the run. */
  runAlone<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Runs the stages that are left. A finished stage is part of the run's state at once. A transform is
 * saved after its evaluation; one that was ended early is done again from the checkpoint before it.
 */
export async function runStages(
  host: StagesHost,
  stages: readonly Stage[],
  { signal, goOn }: StagesOptions,
): Promise<StagesResult> {
  const { run } = host;
  const plan = stages.map((stage) => resolveStage(stage, run));
  refuseChanged(run.progress.done, plan);
  let ended: Pick<FitResult, 'status' | 'reason'> = { status: 'completed' };
  for (const [index, stage] of plan.entries()) {
    if (index < run.progress.done.length) continue;
    if (signal?.aborted) return makeResult(run, { status: 'aborted' });
    run.telemetry.emit('stage', { index, count: plan.length, ...stage });
    if ('epochs' in stage) {
      const untilEpoch = run.progress.from + stage.epochs;
      ended = await host.fit({ untilEpoch, signal, goOn: goOn && ended.reason === undefined });
      if (ended.status === 'aborted') break;
      if (index < plan.length - 1) completeStage(run, stage);
    } else {
      ended = { status: (await transformStage(host, stage, signal)) ? 'completed' : 'aborted' };
      if (ended.status === 'aborted') break;
    }
  }
  return makeResult(run, ended);
}

/** A transform, its validation and a save; whether it came to its end. */
async function transformStage(
  host: StagesHost,
  stage: Extract<ResolvedStage, { transform: unknown }>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { run } = host;
  const { transform: plugins } = stage;
  try {
    await host.transform({ plugins, signal });
  } catch (error) {
    if (isAborted(error)) return false;
    throw error;
  }
  const metrics = await host.runAlone(async () => {
    const validated = await validate(run, signal);
    if (!validated) {
      run.cutShort = cutShortError();
      return undefined;
    }
    completeStage(run, stage, validated);
    await host.checkpoints.saveIfChanged();
    return validated;
  });
  if (!metrics) return false;
  run.telemetry.emit('transform', { plugins, metrics });
  return true;
}

type ResolvedStage = { readonly epochs: number } | { readonly transform: readonly string[] };

/** A stage whose transform names its plugins, in their order. */
function resolveStage(stage: Stage, { transforming }: Run): ResolvedStage {
  if ('epochs' in stage && stage.epochs !== undefined) return { epochs: stage.epochs };
  const { transform } = stage as Extract<Stage, { transform: unknown }>;
  return { transform: transforming.filter((id) => transform === true || transform.includes(id)) };
}

/** A stage is over, and with it a stop that ended its epochs. */
function completeStage(
  run: Run,
  stage: ResolvedStage,
  transformed = run.progress.transformed,
): void {
  const { done } = run.progress;
  run.progress = { done: [...done, stage], from: run.clock.epoch, transformed };
  if ('epochs' in stage) run.stopReason = undefined;
}

function makeResult(run: Run, ended: Pick<FitResult, 'status' | 'reason'>): StagesResult {
  const { progress, history } = run;
  const last = progress.done.at(-1);
  const trained = run.clock.epoch > progress.from || !last || 'epochs' in last;
  const metrics = trained ? (history.at(-1)?.metrics ?? {}) : progress.transformed;
  return { ...ended, history, metrics };
}

function refuseChanged(done: readonly Stage[], plan: readonly ResolvedStage[]): void {
  const index = done.findIndex((stage, i) => canonicalJson(stage) !== canonicalJson(plan[i] ?? {}));
  if (index < 0) return;
  throw new EspalierError('session/stages', {
    problem: `stage ${index + 1} of this run is over, and these stages have another one in its place`,
    received: { was: done[index], is: plan[index] ?? 'none' },
    fix: 'Keep the stages that are over; later ones may change. Or start a new run.',
  });
}
