import { attribute, EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { AsyncSeriesHook, AsyncSeriesWaterfallHook, SyncHook, SyncWaterfallHook } from 'tapable';
import type { NamedTensors } from '../batch/batch.js';
import type { Clock } from '../clock.js';
import { putReplacersFirst } from '../plugins/effects.js';
import type { Declared } from '../plugins/effects.js';
import { HOOKS } from './hooks.js';
import type { HookArguments, HookKind, HookName, HookRow, Tap, TapPoint } from './hooks.js';
import { sortByOrder } from './order.js';
import type { Edge, Order, Ordered, Placed } from './order.js';
import { checkNotDisposed, checkTapResult, noteArgument } from './tap-result.js';

/** What one tap cost so far. */
export interface TapCost {
  readonly plugin: string;
  readonly hook: HookName;
  calls: number;
  milliseconds: number;
  /** Tensors and bytes alive after its calls that were not before; growth without end is a leak. */
  tensors: number;
  bytes: number;
}

/** What a tap of a waterfall returned. */
export interface TapOutput<H extends HookName> {
  readonly plugin: string;
  readonly value: HookArguments[H];
}

/** Looks at each new value that a tap of a waterfall returns; what it throws names that tap. */
export type TapCheck<H extends HookName> = (value: HookArguments[H], plugin: string) => void;

interface Registered {
  readonly id: string;
  readonly plugin: Declared;
  readonly hook: HookName;
  readonly fn: (argument: never) => unknown;
  readonly order: Order;
  readonly cost: TapCost;
}

/** A tap with what is called in place of its function: timed, checked, its errors attributed. */
interface WrappedTap extends Registered {
  readonly call: SyncTap | AsyncTap;
}

type AnyCheck = ((value: never, plugin: string) => void) | undefined;
type SyncTap = (argument: unknown, check?: AnyCheck) => unknown;
type AsyncTap = (argument: unknown, check?: AnyCheck) => Promise<unknown>;

type AnyHook = {
  tap(name: string, fn: SyncTap): void;
  tapPromise(name: string, fn: AsyncTap): void;
  call: SyncTap;
  promise: AsyncTap;
};

const PARAMETERS: ['argument', 'check'] = ['argument', 'check'];
const MAKE: Readonly<Record<HookKind, () => unknown>> = {
  sync: () => new SyncHook<[unknown, unknown]>(PARAMETERS),
  'sync-waterfall': () => new SyncWaterfallHook<[unknown, unknown]>(PARAMETERS),
  async: () => new AsyncSeriesHook<[unknown, unknown]>(PARAMETERS),
  'async-waterfall': () => new AsyncSeriesWaterfallHook<[unknown, unknown]>(PARAMETERS),
};

/**
 * All taps of a run: collected while plugins apply, sorted once, then registered with tapable in
 * final order (tapable's own `before` and `stage` are never used). Every tap is wrapped once: it is
 * timed, its tensors are counted, and what it throws names the plugin, the hook and the step.
 */
export class Taps {
  readonly #registered: WrappedTap[] = [];
  readonly #hooks = new Map<HookName, AnyHook>();
  readonly #order = new Map<HookName, readonly Placed<WrappedTap>[]>();

  constructor(
    private readonly clock: Clock,
    /** The live parameters, which no tap may dispose. */
    private readonly parameters: () => NamedTensors,
  ) {}

  /** What a plugin holds for `hook`. */
  point<H extends HookName>(plugin: Declared & Ordered, hook: H): TapPoint<H> {
    const { id } = plugin;
    return {
      tap: (fn: Tap<H>, order: Order = {}) => {
        const cost = { plugin: id, hook, calls: 0, milliseconds: 0, tensors: 0, bytes: 0 };
        const merged = mergeOrders(plugin.order ?? {}, order);
        const tap: Registered = { id, plugin, hook, fn, order: merged, cost };
        const call = isAsync(hook) ? this.#wrapAsync(tap) : this.#wrapSync(tap);
        this.#registered.push({ ...tap, call });
      },
    };
  }

  /** Sorts and registers. After this no tap can be added. */
  seal(plugins: readonly (Ordered & Declared)[]): void {
    for (const hook of Object.keys(HOOKS) as HookName[]) {
      const mine = this.#registered.filter((tap) => tap.hook === hook);
      const sorted = sortByOrder(mine, plugins, `hook '${hook}'`, impliedOrder(hook, plugins));
      this.#order.set(hook, sorted);
      if (sorted.length > 0) this.#hooks.set(hook, this.#register(hook, sorted));
    }
  }

  /** Calls a synchronous hook; returns the waterfall's value. */
  call<H extends HookName>(
    hook: H,
    argument: HookArguments[H],
    check?: TapCheck<H>,
  ): HookArguments[H] {
    const result = this.#hooks.get(hook)?.call(argument, check);
    return (result as HookArguments[H] | undefined) ?? argument;
  }

  /** Calls a synchronous hook of which each plugin gets an argument of its own. */
  callViews<H extends HookName>(hook: H, viewFor: (plugin: Declared) => HookArguments[H]): void {
    for (const { item } of this.#order.get(hook) ?? []) item.call(viewFor(item.plugin));
  }

  /** Calls an asynchronous hook; returns the waterfall's value. */
  async fire<H extends HookName>(
    hook: H,
    argument: HookArguments[H],
    check?: TapCheck<H>,
  ): Promise<HookArguments[H]> {
    const result = await this.#hooks.get(hook)?.promise(argument, check);
    return (result as HookArguments[H] | undefined) ?? argument;
  }

  /** Calls an asynchronous hook for some plugins only, in their order; `before` each tap. */
  async fireFor<H extends HookName>(
    hook: H,
    argument: HookArguments[H],
    { plugins, before }: { readonly plugins: readonly string[]; before(): void },
  ): Promise<void> {
    for (const { item } of this.#order.get(hook) ?? []) {
      if (!plugins.includes(item.id)) continue;
      before();
      await item.call(argument);
    }
  }

  /** Calls every tap of a synchronous hook, also where one throws; then throws the first error. */
  callAll<H extends HookName>(hook: H, argument: HookArguments[H]): void {
    const errors: unknown[] = [];
    for (const { item } of this.#order.get(hook) ?? []) {
      try {
        item.call(argument);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  /** Calls a synchronous waterfall tap by tap; returns what each tap returned, the final value last. */
  collect<H extends HookName>(
    hook: H,
    argument: HookArguments[H],
    check?: TapCheck<H>,
  ): readonly TapOutput<H>[] {
    let value: unknown = argument;
    return (this.#order.get(hook) ?? []).map(({ item }) => {
      value = item.call(value, check);
      return { plugin: item.id, value: value as HookArguments[H] };
    });
  }

  isTapped(hook: HookName): boolean {
    return this.#hooks.has(hook);
  }

  /** Plugins on a hook in firing order, each with the reasons for its place. */
  listTaps(hook: HookName): readonly { plugin: string; reasons: readonly string[] }[] {
    return (this.#order.get(hook) ?? []).map(({ item, reasons }) => ({ plugin: item.id, reasons }));
  }

  get costs(): readonly TapCost[] {
    return this.#registered.map((tap) => tap.cost);
  }

  #register(hook: HookName, sorted: readonly Placed<WrappedTap>[]): AnyHook {
    const made = MAKE[HOOKS[hook].kind]() as AnyHook;
    for (const { item } of sorted) {
      if (isAsync(hook)) made.tapPromise(item.id, item.call as AsyncTap);
      else made.tap(item.id, item.call);
    }
    return made;
  }

  #wrapSync(tap: Registered): SyncTap {
    return (argument, check) => {
      const { numTensors } = tf.engine().state;
      const refuseChanges = noteArgument(tap.hook, argument);
      const stop = measure(tap.cost);
      try {
        const result = tap.fn(argument as never);
        if (isPromise(result)) throw promiseInSyncHook(tap.hook, result);
        refuseChanges();
        return this.#checkCall(tap, { argument, result, numTensors, check });
      } catch (error) {
        throw attribute(error, this.#locate(tap));
      } finally {
        stop();
      }
    };
  }

  #wrapAsync(tap: Registered): AsyncTap {
    return async (argument, check) => {
      const { numTensors } = tf.engine().state;
      const refuseChanges = noteArgument(tap.hook, argument);
      const stop = measure(tap.cost);
      try {
        const result = await tap.fn(argument as never);
        refuseChanges();
        return this.#checkCall(tap, { argument, result, numTensors, check });
      } catch (error) {
        throw attribute(error, this.#locate(tap));
      } finally {
        stop();
      }
    };
  }

  /** Checks what a tap did with its argument and what it returned; gives back a waterfall's value. */
  #checkCall(
    { id, hook }: Registered,
    call: { argument: unknown; result: unknown; numTensors: number; check: AnyCheck },
  ): unknown {
    const { argument, result, numTensors, check } = call;
    this.#checkOwned(argument, numTensors);
    const value = checkTapResult(hook, argument, result);
    if (value !== undefined && value !== argument) check?.(value as never, id);
    return value;
  }

  /** A tap that left fewer tensors than it found may have disposed a parameter. */
  #checkOwned(argument: unknown, before: number): void {
    checkNotDisposed(argument);
    if (tf.engine().state.numTensors < before) checkNotDisposed(this.parameters());
  }

  #locate({ id, hook }: Registered) {
    return { plugin: id, hook, step: this.clock.step };
  }
}

function isAsync(hook: HookName): boolean {
  return HOOKS[hook].kind.startsWith('async');
}

function impliedOrder(hook: HookName, plugins: readonly Declared[]): readonly Edge[] {
  const { needs, kind }: HookRow = HOOKS[hook];
  if (needs === undefined) return [];
  return putReplacersFirst(plugins, { kind: needs, handsOn: kind.endsWith('waterfall') });
}

function mergeOrders(a: Order, b: Order): Order {
  const both = (key: keyof Order) => [...(a[key] ?? []), ...(b[key] ?? [])];
  return {
    before: both('before'),
    after: both('after'),
    requires: both('requires'),
    optional: both('optional'),
  };
}

/** Starts a measurement; the function that it returns adds it to the cost. */
function measure(cost: TapCost): () => void {
  const { numTensors, numBytes } = tf.engine().state;
  const start = performance.now();
  return () => {
    const { state } = tf.engine();
    cost.calls += 1;
    cost.milliseconds += performance.now() - start;
    cost.tensors += state.numTensors - numTensors;
    cost.bytes += state.numBytes - numBytes;
  };
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}

function promiseInSyncHook(hook: HookName, promise: PromiseLike<unknown>): EspalierError {
  promise.then(undefined, () => undefined); // this error is the one to see
  return new EspalierError('hooks/promise', {
    problem: `'${hook}' is synchronous, but its tap returned a Promise`,
    fix: 'Make the tap a plain function; asynchronous work goes to beforeStep or afterStep.',
  });
}
