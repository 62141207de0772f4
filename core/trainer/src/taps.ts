import { attribute, EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { AsyncSeriesHook, AsyncSeriesWaterfallHook, SyncHook, SyncWaterfallHook } from 'tapable';
import type { Clock, NamedTensors } from './batch.js';
import { putReplacersFirst } from './effects.js';
import type { Declared } from './effects.js';
import { checkHandedOn } from './handed-on.js';
import { HOOKS } from './hooks.js';
import type { HookArguments, HookKind, HookName, HookRow, Tap, TapPoint } from './hooks.js';
import { sortByOrder } from './order.js';
import type { Edge, Order, Ordered, Placed } from './order.js';
import { checkNotDisposed } from './ownership.js';

/** What one tap cost so far. */
export interface TapTrace {
  readonly plugin: string;
  readonly hook: HookName;
  calls: number;
  milliseconds: number;
  /** Tensors and bytes alive after its calls that were not before; growth without end is a leak. */
  tensors: number;
  bytes: number;
}

/** What a tap of a waterfall gave to the next one. */
export interface HandedOn<H extends HookName> {
  readonly plugin: string;
  readonly value: HookArguments[H];
}

interface Registered {
  readonly id: string;
  readonly hook: HookName;
  readonly fn: (argument: never) => unknown;
  readonly order: Order;
  readonly trace: TapTrace;
}

type AnyHook = {
  tap(name: string, fn: (argument: unknown) => unknown): void;
  tapPromise(name: string, fn: (argument: unknown) => Promise<unknown>): void;
  call(argument: unknown): unknown;
  promise(argument: unknown): Promise<unknown>;
};

const MAKE: Readonly<Record<HookKind, () => unknown>> = {
  sync: () => new SyncHook(['argument']),
  'sync-waterfall': () => new SyncWaterfallHook(['argument']),
  async: () => new AsyncSeriesHook(['argument']),
  'async-waterfall': () => new AsyncSeriesWaterfallHook(['argument']),
};

/**
 * All taps of a run: collected while plugins apply, sorted once, then registered with tapable in
 * final order (tapable's own `before` and `stage` are never used). Every tap is wrapped once: it is
 * timed, its tensors are counted, and what it throws names the plugin, the hook and the step.
 */
export class Taps {
  readonly #registered: Registered[] = [];
  readonly #hooks = new Map<HookName, AnyHook>();
  readonly #order = new Map<HookName, readonly Placed<Registered>[]>();

  constructor(
    private readonly clock: Clock,
    /** Gives a plugin its own view of an argument (the loss terms checks who writes). */
    private readonly adapt: <H extends HookName>(
      plugin: string,
      hook: H,
      argument: HookArguments[H],
    ) => HookArguments[H],
    private readonly parameters: () => NamedTensors,
    /** Looks at what a tap of a waterfall hands on, and throws where it is wrong. */
    private readonly inspect: (plugin: string, hook: HookName, value: unknown) => void,
  ) {}

  /** What plugin `id` holds for `hook`. */
  point<H extends HookName>(id: string, hook: H, pluginOrder: Order): TapPoint<H> {
    return {
      tap: (fn: Tap<H>, order: Order = {}) => {
        const trace = { plugin: id, hook, calls: 0, milliseconds: 0, tensors: 0, bytes: 0 };
        this.#registered.push({ id, hook, fn, order: merge(pluginOrder, order), trace });
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

  /** Fires a synchronous hook; gives back the waterfall's value. */
  call<H extends HookName>(hook: H, argument: HookArguments[H]): HookArguments[H] {
    const result = this.#hooks.get(hook)?.call(argument);
    return (result as HookArguments[H] | undefined) ?? argument;
  }

  /** Fires an asynchronous hook; gives back the waterfall's value. */
  async fire<H extends HookName>(hook: H, argument: HookArguments[H]): Promise<HookArguments[H]> {
    const result = await this.#hooks.get(hook)?.promise(argument);
    return (result as HookArguments[H] | undefined) ?? argument;
  }

  /** Fires an asynchronous hook for some plugins only, in their order; `before` each tap. */
  async fireFor<H extends HookName>(
    hook: H,
    argument: HookArguments[H],
    { plugins, before }: { readonly plugins: readonly string[]; before(): void },
  ): Promise<void> {
    for (const { item } of this.#order.get(hook) ?? []) {
      if (!plugins.includes(item.id)) continue;
      before();
      await this.#wrapAsync(item)(argument);
    }
  }

  /** Fires a synchronous hook: every tap is told, whatever the others throw; the first error comes out. */
  tell<H extends HookName>(hook: H, argument: HookArguments[H]): void {
    const errors: unknown[] = [];
    for (const { item } of this.#order.get(hook) ?? []) {
      try {
        this.#wrapSync(item)(argument);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  /** Fires a synchronous waterfall tap by tap: what each plugin handed on, the last one's being its value. */
  trail<H extends HookName>(hook: H, argument: HookArguments[H]): readonly HandedOn<H>[] {
    let value: unknown = argument;
    return (this.#order.get(hook) ?? []).map(({ item }) => {
      value = this.#wrapSync(item)(value);
      return { plugin: item.id, value: value as HookArguments[H] };
    });
  }

  used(hook: HookName): boolean {
    return this.#hooks.has(hook);
  }

  /** Plugins on a hook in firing order, each with the reasons for its place. */
  orderOf(hook: HookName): readonly { plugin: string; reasons: readonly string[] }[] {
    return (this.#order.get(hook) ?? []).map(({ item, reasons }) => ({ plugin: item.id, reasons }));
  }

  get trace(): readonly TapTrace[] {
    return this.#registered.map((tap) => tap.trace);
  }

  #register(hook: HookName, sorted: readonly Placed<Registered>[]): AnyHook {
    const made = MAKE[HOOKS[hook].kind]() as AnyHook;
    for (const { item } of sorted) {
      if (HOOKS[hook].kind.startsWith('async')) made.tapPromise(item.id, this.#wrapAsync(item));
      else made.tap(item.id, this.#wrapSync(item));
    }
    return made;
  }

  #wrapSync(tap: Registered): (argument: unknown) => unknown {
    return (argument) => {
      const { numTensors } = tf.engine().state;
      const done = measure(tap.trace);
      try {
        const result = tap.fn(this.#argument(tap, argument));
        if (isPromise(result)) throw promiseInSyncHook(tap.hook, result);
        return this.#handOn(tap, { argument, result, numTensors });
      } catch (error) {
        throw attribute(error, this.#place(tap));
      } finally {
        done();
      }
    };
  }

  #wrapAsync(tap: Registered): (argument: unknown) => Promise<unknown> {
    return async (argument) => {
      const { numTensors } = tf.engine().state;
      const done = measure(tap.trace);
      try {
        const result = await tap.fn(this.#argument(tap, argument));
        return this.#handOn(tap, { argument, result, numTensors });
      } catch (error) {
        throw attribute(error, this.#place(tap));
      } finally {
        done();
      }
    };
  }

  #handOn(
    { id, hook }: Registered,
    { argument, result, numTensors }: { argument: unknown; result: unknown; numTensors: number },
  ): unknown {
    this.#checkOwned(argument, numTensors);
    const value = checkHandedOn(hook, argument, result);
    if (value !== undefined && value !== argument) this.inspect(id, hook, value);
    return value;
  }

  /** A tap that left fewer tensors than it found may have disposed a parameter. */
  #checkOwned(argument: unknown, before: number): void {
    checkNotDisposed(argument);
    if (tf.engine().state.numTensors < before) checkNotDisposed(this.parameters());
  }

  #argument(tap: Registered, argument: unknown): never {
    return this.adapt(tap.id, tap.hook, argument as HookArguments[HookName]) as never;
  }

  #place({ id, hook }: Registered) {
    return { plugin: id, hook, step: this.clock.step };
  }
}

function impliedOrder(hook: HookName, plugins: readonly Declared[]): readonly Edge[] {
  const { needs, kind }: HookRow = HOOKS[hook];
  if (needs === undefined) return [];
  return putReplacersFirst(plugins, { kind: needs, handsOn: kind.endsWith('waterfall') });
}

function merge(a: Order, b: Order): Order {
  const both = (key: keyof Order) => [...(a[key] ?? []), ...(b[key] ?? [])];
  return {
    before: both('before'),
    after: both('after'),
    requires: both('requires'),
    optional: both('optional'),
  };
}

function measure(trace: TapTrace): () => void {
  const { numTensors, numBytes } = tf.engine().state;
  const start = performance.now();
  return () => {
    const { state } = tf.engine();
    trace.calls += 1;
    trace.milliseconds += performance.now() - start;
    trace.tensors += state.numTensors - numTensors;
    trace.bytes += state.numBytes - numBytes;
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
