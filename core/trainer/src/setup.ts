import { refuseSecondCore } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import { attribute, EspalierError, keyedRng, suggest } from '@espalier/base';
import type { Loss } from '@espalier/losses';
import { refuseFunctions, refuseLateCopy, toCanonicalName } from '@espalier/model';
import { sortByOrder } from './hooks/order.js';
import { fitLosses } from './objective/heads.js';
import { createContext } from './plugins/context.js';
import { changesModel, checkEffects } from './plugins/effects.js';
import { checkPlugins } from './plugins/plugin.js';
import type { Plugin } from './plugins/plugin.js';
import { resolvePreset } from './preset/index.js';
import { Run } from './run.js';
import type { SessionConfig } from './session-config.js';
import type { RunSettings } from './settings.js';
import { Structure } from './structure/structure.js';

/**
 * Sets a run up: preset → plugins in order → model → run → apply → taps in order → plugins' networks.
 * Whatever fails, what was applied so far is undone in reverse order.
 */
export async function setUp(config: SessionConfig, backend: BackendInfo): Promise<Run> {
  const run = await createRun(config, backend);
  try {
    await applyPlugins(run);
    run.start();
    return run;
  } catch (error) {
    await run.dispose().catch(() => undefined); // the first error is the one to see
    throw error;
  }
}

async function createRun(config: SessionConfig, backend: BackendInfo): Promise<Run> {
  const { seed = 0, optimizer } = config;
  const preset = await resolvePreset(config.preset ?? config.plugins ?? [], config);
  const { plugins } = preset;
  refuseSecondCore();
  refuseLateCopy();
  checkPlugins(plugins);
  checkEffects(plugins);
  const order = sortByOrder<Plugin>(plugins, plugins, 'plugins');
  const stream = (...key: readonly (number | string)[]) => keyedRng(seed, 'init', ...key);
  const structure = await Structure.create(config.model, stream, config.trainable);
  try {
    const settings = makeSettings(config, structure, backend);
    return new Run({ settings, optimizer, structure, preset, order });
  } catch (error) {
    structure.dispose();
    throw error;
  }
}

function makeSettings(
  config: SessionConfig,
  structure: Structure,
  backend: BackendInfo,
): RunSettings {
  const { seed = 0, semantics = 'espalier', accumulate = 1, logInterval = 50 } = config;
  const { train, validation, validateEvery = 1 } = config;
  const { folder, resolvePath = (path) => path } = config;
  const given = nameLosses(config.loss, structure);
  checkLosses(given, structure.ownOutputs);
  const { losses, logits } = fitLosses(given, structure.network, semantics);
  return {
    ...{ seed, semantics, losses, logits, accumulate, logInterval },
    ...{ train, validation, validateEvery, folder, resolvePath, backend },
  };
}

async function applyPlugins(run: Run): Promise<void> {
  const { preset, order, services, settings, structure, taps, telemetry } = run;
  const { warning } = settings.backend;
  if (warning) telemetry.emit('warning', { message: warning });
  preset.bindings.forEach(({ token, make }) => services.bind(token, make));
  for (const { item } of order) await applyPlugin(item, run);
  taps.seal(preset.plugins);
  if (taps.isTapped('transform')) structure.checkRebuild();
  services.open();
  run.phase = 'networks';
  for (const { plugin, add } of run.networks) await callApply(plugin, add);
}

async function applyPlugin(plugin: Plugin, run: Run): Promise<void> {
  await callApply(plugin.id, () => {
    if (changesModel(plugin.effects)) refuseFunctions(run.structure.layersModel);
    return plugin.apply(createContext(plugin, run));
  });
  if (plugin.stateless !== run.states.has(plugin.id)) return;
  throw new EspalierError('plugin/state', {
    problem: plugin.stateless
      ? `plugin '${plugin.id}' is stateless: true but calls ctx.keepState`
      : `plugin '${plugin.id}' is not stateless: true and does not call ctx.keepState`,
    fix: 'A run can be resumed only when every plugin declares what it keeps: do exactly one of the two.',
  });
}

/** Calls a plugin's part of the setup; what it throws names the plugin. */
async function callApply(plugin: string, act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
    refuseLateCopy();
  } catch (error) {
    throw attribute(error, { plugin, hook: 'apply' });
  }
}

function nameLosses(
  loss: SessionConfig['loss'],
  { ownOutputs: outputs, ownNames }: Structure,
): Readonly<Record<string, Loss>> {
  if (typeof loss.perExample !== 'function') {
    const named = Object.entries(loss).map(
      ([name, each]) => [toCanonicalName(name, outputs, ownNames), each as Loss] as const,
    );
    refuseTwice(named.map(([name]) => name));
    return Object.fromEntries(named);
  }
  if (outputs.length === 1) return { [outputs[0]!]: loss as Loss };
  throw new EspalierError('session/loss', {
    problem: `the model has the outputs '${outputs.join("', '")}', and one loss without the name of its output`,
    received: loss,
    fix: `Give a loss per output that has targets: { ${outputs[0]}: crossEntropy() }.`,
  });
}

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new EspalierError('session/loss', {
    problem: `there are two losses for the output '${twice}', under this name and under the one that it has in your model`,
    fix: 'Give one.',
  });
}

/** Refuses losses for outputs that the model does not have, and what is no loss. */
function checkLosses(losses: Readonly<Record<string, Loss>>, outputs: readonly string[]): void {
  for (const [name, loss] of Object.entries(losses)) {
    if (!outputs.includes(name)) {
      throw new EspalierError('session/loss', {
        problem: `there is a loss for '${name}', but the model has no such output`,
        received: loss,
        fix: suggest(name, outputs),
      });
    }
    const missing = PARTS.find((part) => typeof loss?.[part] !== 'function');
    if (missing === undefined) continue;
    throw new EspalierError('session/loss', {
      problem: `the loss of output '${name}' has no function '${missing}'`,
      received: loss,
      fix:
        missing === 'metrics'
          ? 'Add metrics: () => ({}), or give values per example by name.'
          : 'Use e.g. crossEntropy().',
    });
  }
}

const PARTS = ['perExample', 'metrics'] as const;
