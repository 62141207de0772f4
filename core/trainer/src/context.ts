import { copyJson, EspalierError, keyedRng } from '@espalier/base';
import type { Loss } from '@espalier/losses';
import { tidyExcept } from '@espalier/model';
import type { Network } from '@espalier/model';
import type { Structure } from '@espalier/model/structure';
import type { Telemetry } from '@espalier/telemetry';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { refuseAborted } from './aborted.js';
import type { Batch, Clock, NamedTensors } from './batch.js';
import { toBatch } from './batches.js';
import type { Services } from './container.js';
import type { Effects } from './effects.js';
import { allows } from './effects.js';
import { HOOKS } from './hooks.js';
import type { HookName, HookRow } from './hooks.js';
import type {
  AuxiliaryOptions,
  BaseContext,
  Plugin,
  PluginContext,
  StateContract,
} from './plugin.js';
import type { Run } from './run.js';
import type { Taps } from './taps.js';
import { sumWindow } from './window-sums.js';

/** What contexts are made from. `run` exists only after every plugin has applied. */
export interface ContextParts {
  readonly seed: number;
  readonly clock: Clock;
  readonly structure: Structure;
  readonly services: Services;
  readonly taps: Taps;
  readonly telemetry: Telemetry;
  readonly folder: string | undefined;
  readonly resolvePath: (path: string) => string;
  readonly states: Map<string, StateContract>;
  readonly teardowns: { readonly id: string; undo(): void | Promise<void> }[];
  /** By output of the user's model; filled before any plugin applies. */
  losses: Readonly<Record<string, Loss>>;
  /** Outputs that evaluations show before their softmax or sigmoid. */
  logits: readonly string[];
  /** Plugins' own networks, made when every plugin has applied. */
  readonly networks: { readonly id: string; add(): void }[];
  /** Whether a plugin wants to see the next batch. */
  lookAhead: boolean;
  /** What goes on outside of the loop: plugins apply, make their networks, or transform the model. */
  phase: 'setup' | 'networks' | 'transform' | undefined;
  run: Run | undefined;
  /** Ends what goes on outside of the loop. */
  signal: AbortSignal | undefined;
}

/** The narrow view of the run that one plugin gets. */
export function contextFor(plugin: Plugin, parts: ContextParts): PluginContext {
  const { id, effects } = plugin;
  const { structure, losses, services, telemetry, clock, seed, folder, resolvePath } = parts;
  const run = (): Run => {
    if (parts.run) return parts.run;
    throw new EspalierError('plugin/too-early', {
      problem: 'the run does not exist during apply',
      fix: 'Do this inside a tap.',
    });
  };
  const atSetup: AtSetup = (name, act) =>
    ((...args: never[]) => {
      const makes = parts.phase === 'networks' && name === 'requestFeatures';
      if (parts.phase === 'setup' || makes) return act(...args);
      throw new EspalierError('plugin/too-late', {
        problem: `ctx.${name} works during apply only: every session that resumes this one must do the same`,
        fix: 'Call it in apply.',
      });
    }) as never;
  const base: Omit<BaseContext<Effects>, 'hooks'> & { hooks: unknown } = {
    id,
    clock,
    hooks: tapPoints(plugin, parts, atSetup),
    get model() {
      return structure.view;
    },
    losses,
    folder,
    resolvePath,
    random: (purpose: string) =>
      keyedRng(seed, id, purpose, ...(parts.run?.objective.draws ?? [clock.step])),
    requestFeatures: atSetup('requestFeatures', (layers) => structure.requestFeatures(layers)),
    group: atSetup('group', (name, belongs) => structure.group(name, belongs)),
    provide: atSetup('provide', (token, make) => services.provide(token, id, make)),
    lookAhead: atSetup('lookAhead', () => void (parts.lookAhead = true)),
    needs: atSetup('needs', (token) => services.need(token, id)),
    get: (token) => services.get(token),
    has: (token) => services.has(token),
    batch: (raw, key) => toBatch(raw, key, run().batchSpec),
    objective: (batch, options) => run().objective.evaluate(batch, options),
    gradients: (batch, options) => run().objective.gradients(batch, options),
    windowGradients: (params) => windowGradients(run(), params),
    parameters: ({ trainable = false } = {}) =>
      structure.parameters.values(trainable ? structure.parameters.trainable : undefined),
    assign: (values, { update = false } = {}) => {
      Object.keys(values).forEach((path) => mustDeclare(effects, `weights:${path}`, 'assign'));
      tf.tidy(() => structure.parameters.assign(update ? run().constrain(values) : values));
    },
    keepState: atSetup('keepState', (contract) => keepState(parts.states, id, contract)),
    onTeardown: (undo) => void parts.teardowns.push({ id, undo }),
    stop: (reason: string) => void (run().stopReason = reason),
    warn: (message: string) => telemetry.emit('warning', { message, plugin: id }),
    progress: (what, done, total) => {
      telemetry.emit('progress', { plugin: id, what, done, total });
      refuseAborted(what, parts.signal);
    },
  };
  const structural = declaresKind(effects, 'structure')
    ? structureAccess(id, parts, run, atSetup)
    : {};
  return Object.assign(base, structural) as unknown as PluginContext;
}

function windowGradients({ window, objective }: Run, params?: NamedTensors): NamedTensors {
  if (!window) {
    throw new EspalierError('plugin/no-window', {
      problem: 'ctx.windowGradients works within a step, and none is under way',
      fix: 'Call it in a tap from beforeStep to afterStep, or evaluate batches of your own: ctx.gradients(batch).',
    });
  }
  const evaluate = (batch: Batch) => objective.gradients(batch, params ? { params } : {});
  return tidyExcept(Object.values<Tensor>, () => sumWindow(window, evaluate).gradients);
}

/** Keeps a function of the context from being called after setup. */
type AtSetup = <F extends (...args: never[]) => unknown>(name: string, act: F) => F;

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

function structureAccess(id: string, parts: ContextParts, run: () => Run, atSetup: AtSetup) {
  return {
    edit: (change: Parameters<Structure['edit']>[0], detail?: unknown) => {
      const { phase } = parts;
      if (phase !== 'setup' && phase !== 'transform') {
        throw new EspalierError('plugin/edit-phase', {
          problem: 'the model can be edited at setup and inside a transform tap only',
          fix: 'Move the edit there; slots and graph are then rebuilt in one go.',
        });
      }
      const kept = detail === undefined ? undefined : copyJson(detail, 'detail');
      const before = regularizedPaths(parts.structure);
      parts.structure.edit(change, { plugin: id, phase, detail: kept });
      tellLost(before, regularizedPaths(parts.structure), (message) =>
        parts.telemetry.emit('warning', { message, plugin: id }),
      );
    },
    addNetwork: atSetup(
      'addNetwork',
      (make: () => LayersModel, options: { readonly group?: string } = {}) => {
        const group = options.group ?? id;
        let network!: Network;
        const add = () => void (network = parts.structure.addNetwork(make, id, group));
        parts.networks.push({ id, add });
        return {
          execute: (inputs: NamedTensors, how: AuxiliaryOptions = {}) =>
            run().objective.runAuxiliary({ network, plugin: id }, inputs, how),
        };
      },
    ),
  };
}

function regularizedPaths({ network }: Structure): readonly string[] {
  return network.regularizers.map(({ path }) => path);
}

/** Says which regularizers an edit took away; those that moved are told by who moved them. */
function tellLost(
  before: readonly string[],
  after: readonly string[],
  warn: (message: string) => void,
): void {
  const lost = before.filter((path) => !after.includes(path));
  const added = after.filter((path) => !before.includes(path));
  if (lost.length <= added.length) return;
  const now = added.length === 0 ? '' : `; new ones are on '${added.join("', '")}'`;
  warn(`the regularizers of '${lost.join("', '")}' are gone with the layers that had them${now}`);
}

function tapPoints(plugin: Plugin, { taps }: ContextParts, atSetup: AtSetup) {
  const points: Record<string, unknown> = {};
  for (const hook of Object.keys(HOOKS) as HookName[]) {
    const { needs }: HookRow = HOOKS[hook];
    const open = needs === undefined || declaresKind(plugin.effects, needs);
    const { tap } = open ? taps.point(plugin.id, hook, plugin.order) : closed(hook, needs);
    points[hook] = { tap: atSetup(`hooks.${hook}.tap`, tap) };
  }
  return points;
}

function closed(hook: HookName, kind: string) {
  return {
    tap() {
      throw new EspalierError('effects/undeclared', {
        problem: `tapping '${hook}' needs a declared effect on '${kind}'`,
        fix: `Declare effects: { ${kind}: 'add' } (or 'modify', 'replace', 'own').`,
      });
    },
  };
}

function declaresKind(effects: Effects, kind: string): boolean {
  return Object.keys(effects).some((name) => name === kind || name.startsWith(`${kind}:`));
}

function mustDeclare(effects: Effects, resource: string, act: string): void {
  if (allows(effects, resource, ['add', 'modify', 'replace', 'own'])) return;
  throw new EspalierError('effects/undeclared', {
    problem: `this plugin may not ${act} '${resource}': it declares no such effect`,
    fix: `Declare effects: { '${resource}': 'modify' }.`,
  });
}
