import * as tf from '@tensorflow/tfjs-core';
import { EspalierError } from '@espalier/errors';
import type { BackendInfo, BackendName, PassedOver, UseBackendOptions } from './backend-info.js';
import { NotAvailable } from './candidate.js';
import type { Candidate, Started } from './candidate.js';
import { installGradients } from './gradients/index.js';
import { installKernels } from './kernels/index.js';
import { describe, reasons } from './line.js';
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
  readonly passedOver: readonly PassedOver[];
}

/** What a platform adds: its candidates in order, and a look for a second copy of tfjs. */
export interface Platform {
  readonly candidates: readonly Candidate[];
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

const unknownHere = (name: BackendName): PassedOver => ({
  name,
  reason: 'it runs in Node only',
  install: 'another backend',
});

async function choose(platform: Platform, options: UseBackendOptions): Promise<Choice> {
  const here = platform.candidates.map(({ name }) => name);
  const passedOver: PassedOver[] = [];
  for (const name of options.prefer === undefined ? here : namesToTry(options.prefer)) {
    const candidate = platform.candidates.find((each) => each.name === name);
    if (!candidate) {
      passedOver.push(unknownHere(name));
      continue;
    }
    try {
      return { running: await start(candidate, options, platform), passedOver };
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error;
      const { reason, install = candidate.install } = error;
      passedOver.push({ name, reason, install });
    }
  }
  throw new EspalierError('backend/none-available', {
    problem: `useBackend: none of the backends is available; ${reasons(passedOver)}`,
    fix: 'Take one of these steps, or leave out prefer: wasm and cpu come with this package.',
  });
}

function inform({ running: used, passedOver }: Choice): BackendInfo {
  const { candidate, started } = used;
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
    passedOver,
    line: describe(candidate, started, passedOver, used.threadsAsked),
    dispose() {
      if (!disposed) end(used);
      disposed = true;
    },
  };
}

/** `useBackend` for a platform; calls wait for one another. */
export function makeUseBackend(platform: Platform) {
  let last: Promise<unknown> = Promise.resolve();
  return async (options: UseBackendOptions = {}): Promise<BackendInfo> => {
    namesToTry(options.prefer);
    checkThreads(options.threads);
    const turn = last.then(async () => inform(await choose(platform, options)));
    last = turn.catch(() => undefined);
    return turn;
  };
}
