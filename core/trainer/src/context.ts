import type { Clock } from './batch.js';
import type { Effects } from './effects.js';
import { allows } from './effects.js';
import { EspalierError } from '@espalier/errors';
import { HOOKS } from './hooks.js';
import type { HookName, HookRow } from './hooks.js';
import type { BaseContext, Plugin, PluginContext, StateContract } from './plugin.js';
import { keyedStream } from '@espalier/data';
import type { Run } from './run.js';
import type { Services } from './container.js';
import type { Structure } from './structure.js';
import type { Taps } from './taps.js';
import type { Telemetry } from '@espalier/telemetry';

/** What contexts are made from. `run` exists only after every plugin has applied. */
export interface ContextParts {
  readonly seed: number;
  readonly clock: Clock;
  readonly structure: Structure;
  readonly services: Services;
  readonly taps: Taps;
  readonly telemetry: Telemetry;
  readonly states: Map<string, StateContract>;
  readonly teardowns: (() => void | Promise<void>)[];
  /** The phase in which structure may be edited now, if any. */
  phase: 'setup' | 'transform' | undefined;
  run: Run | undefined;
}

/** The narrow view of the run that one plugin gets. */
export function contextFor(plugin: Plugin, parts: ContextParts): PluginContext {
  const { id, effects } = plugin;
  const { structure, services, telemetry, clock, seed } = parts;
  const run = (): Run => {
    if (parts.run) return parts.run;
    throw new EspalierError('plugin/too-early', {
      problem: 'the run does not exist during apply',
      fix: 'Do this inside a tap.',
    });
  };
  const base: Omit<BaseContext<Effects>, 'hooks'> & { hooks: unknown } = {
    id,
    clock,
    hooks: tapPoints(plugin, parts.taps),
    get model() {
      return structure.view;
    },
    random: (purpose: string) => keyedStream(seed, id, purpose, clock.step),
    requestFeatures: (layers: readonly string[]) => structure.requestFeatures(layers),
    group: (name: string, belongs: (path: string) => boolean) => structure.group(name, belongs),
    provide: (token, make) => services.provide(token, id, make),
    get: (token) => services.get(token),
    has: (token) => services.has(token),
    objective: (batch, options) => run().objective.evaluate(batch, options),
    gradients: (batch, options) => run().objective.gradients(batch, options),
    parameters: () => structure.parameters.values(),
    assign: (values) => {
      Object.keys(values).forEach((path) => mustDeclare(effects, `weights:${path}`, 'assign'));
      structure.parameters.assign(values);
    },
    keepState: (contract: StateContract) => void parts.states.set(id, contract),
    onTeardown: (undo) => void parts.teardowns.push(undo),
    stop: (reason: string) => void (run().stopReason = reason),
    warn: (message: string) => telemetry.emit('warning', { message, plugin: id }),
  };
  const structural = declaresKind(effects, 'structure') ? structureAccess(id, parts, run) : {};
  return Object.assign(base, structural) as unknown as PluginContext;
}

function structureAccess(id: string, parts: ContextParts, run: () => Run) {
  return {
    edit: (change: Parameters<Structure['edit']>[0]) => {
      if (!parts.phase) {
        throw new EspalierError('plugin/edit-phase', {
          problem: 'the model can be edited at setup and inside a transform tap only',
          fix: 'Move the edit there; slots and graph are then rebuilt in one go.',
        });
      }
      parts.structure.edit(change, id, parts.phase);
    },
    addNetwork: (make: Parameters<Structure['addNetwork']>[0], { group = id } = {}) => {
      const network = parts.structure.addNetwork(make, id, group);
      return { execute: (inputs: never) => run().objective.runAuxiliary(network, inputs) };
    },
  };
}

function tapPoints(plugin: Plugin, taps: Taps): Record<string, unknown> {
  const points: Record<string, unknown> = {};
  for (const hook of Object.keys(HOOKS) as HookName[]) {
    const { needs }: HookRow = HOOKS[hook];
    const open = needs === undefined || declaresKind(plugin.effects, needs);
    points[hook] = open ? taps.point(plugin.id, hook, plugin.order) : closed(hook, needs);
  }
  return points;
}

function closed(hook: HookName, kind: string) {
  return {
    tap() {
      throw new EspalierError('effects/undeclared', {
        problem: `tapping '${hook}' needs a declared effect on '${kind}'`,
        fix: `Declare effects: { ${kind}: 'add' } (or 'transform', or 'own').`,
      });
    },
  };
}

function declaresKind(effects: Effects, kind: string): boolean {
  return Object.keys(effects).some((name) => name === kind || name.startsWith(`${kind}:`));
}

function mustDeclare(effects: Effects, resource: string, act: string): void {
  if (allows(effects, resource, ['transform', 'own', 'add'])) return;
  throw new EspalierError('effects/undeclared', {
    problem: `this plugin may not ${act} '${resource}': it declares no such effect`,
    fix: `Declare effects: { '${resource}': 'transform' }.`,
  });
}
