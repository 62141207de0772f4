import { EspalierError, keyedRng, readLater, suggest } from '@espalier/base';
import { tidyExcept } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import { readBatch } from '../batch/to-batch.js';
import { HOOKS } from '../hooks/hooks.js';
import type { HookName, HookRow } from '../hooks/hooks.js';
import { refuseAborted } from '../loop/aborted.js';
import { sumMicroBatches } from '../loop/window-sums.js';
import type { Run } from '../run.js';
import { allows, declaresKind } from './effects.js';
import type { Effects } from './effects.js';
import { createGuards } from './guards.js';
import type { Guards } from './guards.js';
import { addOwnOptimizer, findOwnOptimizer } from './own-optimizer.js';
import type { BaseContext, Plugin, PluginContext, StateContract } from './plugin.js';
import { createStructureAccess } from './structure-access.js';

/** What one plugin gets of the run. */
export function createContext(plugin: Plugin, run: Run): PluginContext {
  const { id, effects } = plugin;
  const { batches, clock, objective, services, settings, structure, telemetry } = run;
  const { losses, folder, resolvePath, seed } = settings;
  const guards = createGuards(run);
  const { atSetup, afterSetup } = guards;
  const base: Omit<BaseContext<Effects>, 'hooks'> & { hooks: unknown } = {
    id,
    clock,
    hooks: createTapPoints(plugin, run, guards),
    get model() {
      return structure.view;
    },
    losses,
    folder,
    resolvePath,
    random: (purpose: string) => keyedRng(seed, id, purpose, ...(objective.draws ?? [clock.step])),
    requestFeatures: atSetup('requestFeatures', (layers) => structure.requestFeatures(layers)),
    group: atSetup('group', (name, belongs) => structure.group(name, belongs)),
    provide: atSetup('provide', (token, make) => services.provide(token, id, make)),
    lookAhead: atSetup('lookAhead', () => void (run.lookAhead = true)),
    needs: atSetup('needs', (token) => services.need(token, id)),
    get: (token) => services.get(token),
    has: (token) => services.has(token),
    batch: afterSetup('batch', (raw, key) => readLater(readBatch(raw, key, batches.spec))),
    objective: afterSetup('objective', (batch, options) => objective.evaluate(batch, options)),
    gradients: afterSetup('gradients', (batch, options) => objective.gradients(batch, options)),
    windowGradients: afterSetup('windowGradients', (params) => windowGradients(run, params)),
    parameters: (which = {}) => run.values(which),
    assign: (values, { update = false } = {}) => {
      Object.keys(values).forEach((path) => mustDeclare(effects, `weights:${path}`, 'assign'));
      tf.tidy(() => structure.parameters.assign(update ? run.constrain(values) : values));
      run.assignments += 1;
    },
    scaleUpdates: (factor) => {
      mustDeclare(effects, 'updates', 'scale');
      run.updateScales.set(id, checkScale(factor));
    },
    evaluateAt: atSetup('evaluateAt', (values) => {
      mustDeclare(effects, 'evaluation', 'replace');
      run.evaluatedAt = { plugin: id, values };
    }),
    optimizeWith: atSetup('optimizeWith', (patterns, transform) =>
      addOwnOptimizer(plugin, run, { patterns, transform }),
    ),
    optimizerOf: afterSetup('optimizerOf', (paths) => findOwnOptimizer(plugin, run, paths)),
    runOptimizer: afterSetup('runOptimizer', () =>
      run.optimizer.toVirtual({ step: clock.step, updateScale: run.updateScale }),
    ),
    keepState: atSetup('keepState', (contract) => keepState(run.states, id, contract)),
    onTeardown: (undo) => void run.teardowns.push({ plugin: id, undo }),
    stop: afterSetup('stop', (reason: string) => void (run.stopReason = reason)),
    warn: (message: string) => telemetry.emit('warning', { message, plugin: id }),
    report: (what, data) => telemetry.emit('report', { plugin: id, what, data }),
    progress: (what, done, total) => {
      telemetry.emit('progress', { plugin: id, what, done, total });
      refuseAborted(what, run.signal);
    },
  };
  const structural = declaresKind(effects, 'structure')
    ? createStructureAccess(id, run, guards)
    : {};
  return Object.assign(base, structural) as unknown as PluginContext;
}

function checkScale(factor: number): number {
  if (Number.isFinite(factor) && factor > 0) return factor;
  throw new EspalierError('plugin/update-scale', {
    problem: 'ctx.scaleUpdates takes a finite number above 0',
    received: factor,
    fix: 'To stop training, call ctx.stop(reason).',
  });
}

function windowGradients({ microBatches, objective }: Run, params?: NamedTensors): NamedTensors {
  if (!microBatches) {
    throw new EspalierError('plugin/no-window', {
      problem: 'ctx.windowGradients works within a step, and no step is under way',
      fix: 'Call it in a tap from beforeStep to afterStep, or evaluate batches of your own: ctx.gradients(batch).',
    });
  }
  const evaluate = (batch: Batch) => objective.gradients(batch, params ? { params } : {});
  return tidyExcept(Object.values<Tensor>, () => sumMicroBatches(microBatches, evaluate).gradients);
}

function keepState(states: Map<string, StateContract>, id: string, contract: StateContract): void {
  const { version, save, load } = contract;
  const sound = Number.isInteger(version) && typeof save === 'function' && !states.has(id);
  if (!sound || typeof load !== 'function') {
    throw new EspalierError('plugin/state', {
      problem: 'ctx.keepState is called once, with a version and functions save and load',
      received: states.has(id) ? 'a second call' : contract,
      fix: 'Keep all in one: { version: 1, save: () => ({ json }), load: ({ json }) => … }.',
    });
  }
  states.set(id, contract);
}

function createTapPoints(plugin: Plugin, { taps }: Run, { atSetup }: Guards) {
  const points: Record<string, unknown> = {};
  for (const hook of Object.keys(HOOKS) as HookName[]) {
    const { needs }: HookRow = HOOKS[hook];
    const open = needs === undefined || declaresKind(plugin.effects, needs);
    const { tap } = open ? taps.point(plugin, hook) : createClosedPoint(hook, needs);
    points[hook] = { tap: atSetup(`hooks.${hook}.tap`, tap) };
  }
  return new Proxy(points, { get: (own, name) => own[name as string] ?? refuseUnknownHook(name) });
}

function refuseUnknownHook(name: string | symbol): undefined {
  if (typeof name === 'symbol' || name in Object.prototype || name === 'then') return undefined;
  throw new EspalierError('hooks/unknown', {
    problem: `there is no hook '${name}'`,
    fix: suggest(name, Object.keys(HOOKS)),
  });
}

function createClosedPoint(hook: HookName, kind: string) {
  return {
    tap() {
      throw new EspalierError('effects/undeclared', {
        problem: `a tap of '${hook}' needs a declared effect on '${kind}'`,
        fix: `Declare effects: { ${kind}: 'add' } (or 'modify', 'replace', 'own').`,
      });
    },
  };
}

function mustDeclare(effects: Effects, resource: string, act: string): void {
  if (allows(effects, resource, ['add', 'modify', 'replace', 'own'])) return;
  throw new EspalierError('effects/undeclared', {
    problem: `this plugin may not ${act} '${resource}': it declares no such effect`,
    fix: `Declare effects: { '${resource}': 'modify' }.`,
  });
}
