import { EspalierError } from '@espalier/core';
import type { SavedState } from '@espalier/core';
import type { Optimizer } from '@tensorflow/tfjs-core';
import type { History } from '@tensorflow/tfjs-layers';
import { readRate, writeRate } from './compiled-optimizer.js';

/** Numbers of one epoch, by the names that tfjs gives them. */
export type EpochLogs = Readonly<Record<string, number>>;

/** What a call of `fit` or `fitDataset` asked for; a resumed program asks for the same. */
export type FitCall = Readonly<Record<string, string | number | boolean | null>>;

/** What a `History` holds. */
interface FitHistory {
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly number[]>>;
}

/** A call and the learning rates that callbacks may have set in it. */
interface Call {
  readonly asked: FitCall;
  /** When it began. */
  readonly firstRate: number;
  /** When it ended; of the one under way, when its epoch began. */
  readonly rate: number;
}

interface PositionData {
  /** One for each call of fit or fitDataset that is over. */
  readonly fits: readonly (FitHistory & { readonly call: Call })[];
  /** The call under way. */
  readonly call: Call | null;
  /** Of the call under way: its epochs so far. */
  readonly epochs: readonly { readonly epoch: number; readonly logs: EpochLogs }[];
}

interface SavedPosition extends PositionData {
  /** Of the epoch under way: what each batch gave, in the order of the labels. */
  readonly batches: readonly (readonly number[])[];
}

const START: PositionData = { fits: [], call: null, epochs: [] };
const NOTHING: SavedPosition = { ...START, batches: [] };

/**
 * Where a program stands in its calls of `fit` and `fitDataset` since the model was compiled. It goes into checkpoints: a program that
 * is started again and loads one passes over what is done.
 */
export class FitPosition {
  #data: PositionData = START;
  /** What the batches of the epoch under way gave; it grows in place. */
  #batches: (readonly number[])[] = [];
  /** Calls of this process so far, since the model was compiled. */
  #calls = 0;
  /** What a checkpoint holds of the call and the epoch that this process goes on with. */
  #loaded: SavedPosition = NOTHING;
  #fitting = false;
  /** Whether the step that comes is one of the fit under way. */
  #expected = false;
  /** How often the model was compiled again. */
  #compilations = 0;

  constructor(private readonly getOptimizer: () => Optimizer) {}

  /** Whether a call of fit is under way. */
  get isFitting(): boolean {
    return this.#fitting;
  }

  /** The model was compiled again: calls count from there on. */
  beginAnew(): void {
    this.#compilations += 1;
    [this.#data, this.#batches, this.#loaded, this.#calls] = [START, [], NOTHING, 0];
  }

  /**
   * The next call: its history where a checkpoint has it behind it, else none.
   *
   * @throws EspalierError `attach/resume` where the checkpoint was made in or after another call.
   */
  beginFit(asked: FitCall): FitHistory | undefined {
    const passed = this.#loaded.fits[this.#calls];
    const { call } = passed ?? this.#loaded;
    const firstRate = readRate(this.getOptimizer());
    if (call) checkSame(call.asked, asked, this.#calls + 1);
    if (call?.firstRate === firstRate) writeRate(this.getOptimizer(), call.rate);
    this.#calls += 1;
    this.#fitting = passed === undefined;
    if (this.#fitting) this.#keepCall({ asked, firstRate });
    return passed;
  }

  #keepCall({ asked, firstRate }: Omit<Call, 'rate'>): Call {
    const call = { asked, firstRate, rate: readRate(this.getOptimizer()) };
    this.#data = { ...this.#data, call };
    return call;
  }

  /**
   * Refuses a step that the program has taken before a call which a checkpoint has behind it.
   *
   * @throws EspalierError `attach/resume`.
   */
  checkOwnStep(): void {
    const { fits, call } = this.#loaded;
    if (this.#fitting || (fits.length <= this.#calls && call === null)) return;
    throw new EspalierError('attach/resume', {
      problem:
        'model.trainOnBatch was called before a call of fit that the loaded checkpoint has behind it or is within: this batch would be trained twice',
      fix: 'Leave out the batches that the checkpoint has behind it; run.session.clock.step is the number of its steps.',
    });
  }

  /** Epochs of this call that a checkpoint has behind it. */
  get epochsDone(): number {
    return this.#data.epochs.length;
  }

  /** What a batch gave that a checkpoint has behind it. */
  findBatch(batch: number): readonly number[] | undefined {
    return this.#loaded.batches[batch];
  }

  /** The step that comes is one of the fit under way. */
  expectBatch(): void {
    this.#expected = true;
  }

  /** A step that belongs to no fit, such as that of `trainOnBatch`, counts for none. */
  addBatch(numbers: readonly number[]): void {
    if (!this.#fitting || !this.#expected) return;
    this.#expected = false;
    this.#batches.push(numbers);
  }

  endEpoch(epoch: number, logs: EpochLogs): void {
    this.#data = { ...this.#data, epochs: [...this.#data.epochs, { epoch, logs }] };
    this.#batches = [];
    this.#loaded = { ...this.#loaded, batches: [] };
    this.#keepCall(this.#data.call!);
  }

  endFit(): void {
    const { fits, epochs } = this.#data;
    const call = this.#keepCall(this.#data.call!);
    this.#data = { ...START, fits: [...fits, { ...collectHistory(epochs), call }] };
    this.#leaveFit();
  }

  /** An error ended the call: it counts for nothing, and the next one begins anew. */
  abandonFit(): void {
    this.#data = { ...START, fits: this.#data.fits };
    this.#calls -= 1;
    this.#leaveFit();
  }

  #leaveFit(): void {
    this.#batches = [];
    this.#loaded = { ...NOTHING, fits: this.#loaded.fits };
    this.#fitting = false;
    this.#expected = false;
  }

  /** Puts the epochs of this call that an earlier process ran into a history. */
  completeHistory(target: History): void {
    writeHistory(target, collectHistory(this.#data.epochs));
  }

  save(): SavedState {
    const batches = [...this.#batches];
    return { json: { ...this.#data, batches, compilations: this.#compilations } };
  }

  /** @throws EspalierError `attach/resume` where the model was compiled again on one side only. */
  load({ json }: SavedState): void {
    const { compilations, ...saved } = json as SavedPosition & { readonly compilations: number };
    checkCompilations(compilations, this.#compilations);
    const { batches, ...data } = saved;
    this.#data = data;
    this.#batches = [...batches];
    this.#loaded = saved;
    this.#calls = Math.min(this.#calls, data.fits.length);
  }
}

/** Fills a history of tfjs. */
export function writeHistory(target: History, { epoch, history }: FitHistory): void {
  target.epoch = [...epoch];
  target.history = Object.fromEntries(
    Object.entries(history).map(([name, values]) => [name, [...values]]),
  );
}

function collectHistory(epochs: PositionData['epochs']): FitHistory {
  const names = [...new Set(epochs.flatMap(({ logs }) => Object.keys(logs)))];
  return {
    epoch: epochs.map(({ epoch }) => epoch),
    history: Object.fromEntries(
      names.map((name) => [name, epochs.map(({ logs }) => logs[name] ?? NaN)]),
    ),
  };
}

function checkSame(saved: FitCall, call: FitCall, count: number): void {
  const names = Object.keys({ ...saved, ...call });
  const changed = names.filter((name) => saved[name] !== call[name]);
  if (changed.length === 0) return;
  const list = (from: FitCall) => changed.map((name) => `${name}: ${from[name]}`).join(', ');
  throw new EspalierError('attach/resume', {
    problem: `call ${count} of fit had ${list(saved)} when the loaded checkpoint was made, and has ${list(call)} now`,
    received: call,
    fix: 'Call it as it was, and train on by further calls of fit after it; or leave out run.load().',
  });
}

function checkCompilations(saved: number, now: number): void {
  if (saved === now) return;
  throw new EspalierError('attach/resume', {
    problem: `the checkpoint was made after the attached model had been compiled again ${saved} times, and now it is ${now} times`,
    fix: 'Call run.load() after the same call of model.compile as then; calls of fit before it are not passed over.',
  });
}
