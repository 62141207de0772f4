import { HOOKS } from '@espalier/core';
import type { HookName, Plugin, PluginContext } from '@espalier/core';

/** What a watcher sees of one tap: call `run` to let the tap happen. */
export interface Watched {
  readonly hook: HookName;
  readonly argument: unknown;
  readonly context: PluginContext;
  run(argument?: unknown): unknown;
}

/**
 * The same plugin with every tap of it passed through `around`, which may look before and after,
 * or throw. What it returns is what the tap returns.
 */
export function watch(plugin: Plugin, around: (tap: Watched) => unknown): Plugin {
  return {
    ...plugin,
    apply(context) {
      const hooks = Object.fromEntries(
        (Object.keys(HOOKS) as HookName[]).map((hook) => [
          hook,
          watchedPoint(context, hook, around),
        ]),
      );
      const seen = Object.create(context, { hooks: { value: hooks } }) as PluginContext;
      return plugin.apply(seen);
    },
  };
}

function watchedPoint(
  context: PluginContext,
  hook: HookName,
  around: (tap: Watched) => unknown,
): unknown {
  type AnyPoint = { tap(fn: (argument: unknown) => unknown, order?: unknown): void };
  const point = (context.hooks as unknown as Record<HookName, AnyPoint>)[hook];
  return {
    tap(fn: (argument: unknown) => unknown, order?: unknown) {
      point.tap(
        (argument) => around({ hook, argument, context, run: (other = argument) => fn(other) }),
        order,
      );
    },
  };
}
