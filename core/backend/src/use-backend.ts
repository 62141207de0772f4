import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type {
  BackendInfo,
  BackendName,
  SkippedBackend,
  UseBackendOptions,
} from './backend-info.js';
import { NotAvailable, Unfit } from './candidate.js';
import type { Candidate, Started } from './candidate.js';
import { foreignBackend } from './candidates/foreign-backend.js';
import { separateCastTensors } from './early-tensors.js';
import { installGradients } from './gradients/index.js';
import { installKernels } from './kernels/index.js';
import { appendReasons, describeChosen, describeSkipped, warnOfThreads } from './line.js';
import { checkThreads, namesToTry } from './options.js';
import { installTensorMethods } from './tensor-methods.js';

interface Running {
  readonly candidate: Candidate;
  readonly started: Started;
  readonly threadsAsked: number | undefined;
  uninstall(): void;
  users: number;
}

interface Choice {
  readonly running: Running;
  readonly skipped: readonly SkippedBackend[];
  readonly warning?: string;
}

/** What a platform adds: its candidates in order, and a look for a second copy of tfjs. */
export interface Platform {
  readonly candidates: readonly Candidate[];
  /** Why the other backends cannot be computed, as half a sentence. */
  readonly others: string;
  /** Whether wasm needs no set-up, so that plain cpu is never the best there is. */
  readonly alwaysHasWasm: boolean;
  /** @throws EspalierError naming the copies of tfjs-core if there are several. */
  refuseSecondCore(): void;
}

let running: Running | undefined;

/** Undoes the installation once, however often it is asked to. */
function install(backend: string): () => void {
  const undo = [installKernels(backend), installGradients(), installTensorMethods()];
  return () => undo.splice(0).forEach((uninstall) => uninstall());
}

function begin(candidate: Candidate, started: Started, threadsAsked?: number): Running {
  running?.uninstall();
  running = {
    candidate,
    started,
    threadsAsked,
    uninstall: install(candidate.backend),
    users: 0,
  };
  return running;
}

function end(ended: Running): void {
  ended.users -= 1;
  if (ended.users > 0) return;
  ended.uninstall();
  ended.started.stop?.();
  if (running === ended) running = undefined;
}

async function keepUsing(current: Running, { threads }: UseBackendOptions): Promise<Running> {
  const { candidate, started, threadsAsked } = current;
  if (threads !== undefined && threads !== (threadsAsked ?? started.threads)) {
    throw new EspalierError('backend/threads-in-use', {
      problem:
        `useBackend: ${candidate.name} is in use with ${threadsAsked ?? started.threads} threads and ` +
        `cannot change to ${threads}`,
      fix: 'Call dispose() of every earlier useBackend first.',
    });
  }
  await tf.setBackend(candidate.backend);
  return current;
}

async function start(
  candidate: Candidate,
  options: UseBackendOptions,
  { refuseSecondCore }: Platform,
): Promise<Running> {
  if (running?.candidate === candidate) return keepUsing(running, options);
  const started = await candidate.start(options);
  refuseSecondCore();
  return begin(candidate, started, options.threads);
}

const unavailableHereError = (name: BackendName, reason: string): SkippedBackend => ({
  name,
  reason,
  install: 'another backend',
});

async function choose(platform: Platform, options: UseBackendOptions): Promise<Choice> {
  const here = platform.candidates.map(({ name }) => name as BackendName);
  const skipped: SkippedBackend[] = [];
  for (const name of options.prefer === undefined ? here : namesToTry(options.prefer)) {
    const candidate = platform.candidates.find((each) => each.name === name);
    if (!candidate) {
      skipped.push(unavailableHereError(name, platform.others));
      continue;
    }
    try {
      return { running: await start(candidate, options, platform), skipped };
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error;
      const { reason, install = candidate.install } = error;
      skipped.push({ name, reason, install });
    }
  }
  throw new EspalierError('backend/none-available', {
    problem: `useBackend: none of the backends is available; ${describeSkipped(skipped)}`,
    fix: 'Take one of these steps, or leave out prefer: wasm and cpu come with this package.',
  });
}

/** Whether tfjs has taken its plain backend by itself: nothing better was registered to be chosen. */
function isCpuByDefault(): boolean {
  const { registry, registryFactory } = tf.engine();
  const priorities = Object.values(registryFactory).map(({ priority }) => priority);
  return 'cpu' in registry && registryFactory['cpu']!.priority === Math.max(...priorities);
}

/** Starts the current backend as the candidate that it is, or else as it stands. */
async function keep(platform: Platform, current: string): Promise<Choice> {
  if (running?.candidate.backend === current) return { running, skipped: [] };
  const same = platform.candidates.filter(({ backend }) => backend === current);
  for (const candidate of [...same, foreignBackend(current)]) {
    try {
      return { running: await start(candidate, {}, platform), skipped: [] };
    } catch (error) {
      if (error instanceof Unfit) throw unfit(current, error);
      if (!(error instanceof NotAvailable)) throw error;
    }
  }
  throw new Error('Whatever is current can be kept.');
}

const unfit = (current: string, { reason }: Unfit): EspalierError =>
  new EspalierError('backend/unfit', {
    problem: `The current backend, ${current}, cannot train: ${reason}`,
    fix: "Choose another, for example backend: { prefer: ['wasm', 'cpu'] }.",
  });

async function keepOrChoose(platform: Platform): Promise<Choice> {
  const current = tf.getBackend() as string | undefined;
  if (!current) return choose(platform, {});
  const replaceable = platform.alwaysHasWasm && current === 'cpu' && !running && isCpuByDefault();
  if (!replaceable) return keep(platform, current);
  const choice = await choose(platform, {});
  const { name, backend } = choice.running.candidate;
  if (backend === current) return choice;
  separateCastTensors();
  const warning =
    `${name} takes the place of cpu, which TensorFlow.js had chosen by itself; tensors move over ` +
    "when they are used. To stay on cpu: backend: { prefer: 'cpu' }";
  return { ...choice, warning };
}

function inform({ running: used, skipped, warning }: Choice): BackendInfo {
  const { candidate, started } = used;
  const chosen = describeChosen(candidate, started, used.threadsAsked);
  const known = warning ?? started.warning ?? warnOfThreads(candidate, started, used.threadsAsked);
  used.users += 1;
  let disposed = false;
  return {
    backend: candidate.backend,
    name: candidate.name,
    package: candidate.package,
    version: started.version,
    simd: started.simd,
    threads: started.threads,
    device: started.device,
    skipped,
    chosen,
    line: appendReasons(chosen, skipped),
    ...(known !== undefined && { warning: known }),
    dispose() {
      if (!disposed) end(used);
      disposed = true;
    },
  };
}

/** `useBackend` and `keepBackend` of a platform; calls wait for one another. */
export function makeBackendChoice(platform: Platform) {
  let last: Promise<unknown> = Promise.resolve();
  const runInTurn = (decide: () => Promise<Choice>): Promise<BackendInfo> => {
    const turn = last.then(async () => inform(await decide()));
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    useBackend: async (options: UseBackendOptions = {}): Promise<BackendInfo> => {
      namesToTry(options.prefer);
      checkThreads(options.threads);
      return runInTurn(() => choose(platform, options));
    },
    keepBackend: (): Promise<BackendInfo> => runInTurn(() => keepOrChoose(platform)),
  };
}
