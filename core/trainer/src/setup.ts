import { refuseSecondCore } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import { attribute, EspalierError, keyedRng, suggest } from '@espalier/base';
import { checkLosses, checkTargetShape } from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import { refuseLateCopy } from '@espalier/model';
import { Structure } from '@espalier/model/structure';
import { byGroup } from '@espalier/optim';
import type { GradientTransform } from '@espalier/optim';
import { Telemetry } from '@espalier/telemetry';
import type { Batch, NamedTensors } from './batch.js';
import { Services } from './container.js';
import { contextFor } from './context.js';
import type { ContextParts } from './context.js';
import { allows, checkEffects } from './effects.js';
import { fitLosses } from './heads.js';
import type { FittedLosses } from './heads.js';
import type { HookArguments, HookName, LossContext } from './hooks.js';
import type { TermTable } from './loss-terms.js';
import { sortByOrder } from './order.js';
import type { Placed } from './order.js';
import { checkPlugins } from './plugin.js';
import type { Plugin } from './plugin.js';
import { resolvePreset } from './preset/index.js';
import type { ResolvedPreset } from './preset/index.js';
import { Run } from './run.js';
import { isTransform } from './session-config.js';
import type { Semantics, SessionConfig } from './session-config.js';
import { Taps } from './taps.js';

/** A run with everything around it that only the session needs. */
export interface Assembled {
  readonly run: Run;
  readonly parts: ContextParts;
  readonly resolved: ResolvedPreset;
  readonly order: readonly Placed<Plugin>[];
  readonly backend: BackendInfo;
  teardown(): Promise<void>;
}

/**
 * The composition root: preset → plugins in order → container → model → apply → taps in order → run.
 * Whatever fails, what was applied so far is undone in reverse order.
 */
export async function assemble(config: SessionConfig, backend: BackendInfo): Promise<Assembled> {
  const { seed = 0 } = config;
  const resolved = await resolvePreset(config.preset ?? config.plugins ?? [], config);
  refuseSecondCore();
  refuseLateCopy();
  checkPlugins(resolved.plugins);
  checkEffects(resolved.plugins);
  const order = sortByOrder<Plugin>(resolved.plugins, resolved.plugins, 'plugins');
  const structure = await Structure.create(config.model, (...key) =>
    keyedRng(seed, 'init', ...key),
  );
  const parts = contextParts(config, structure, order);
  if (backend.warning) parts.telemetry.emit('warning', { message: backend.warning });
  const teardown = () => tearDown(parts);
  try {
    Object.assign(parts, lossesOf(config, structure));
    resolved.bindings.forEach(({ token, make }) => parts.services.bind(token, make));
    for (const { item } of order) await applyPlugin(item, parts);
    parts.taps.seal(resolved.plugins);
    if (parts.taps.orderOf('transform').length > 0) structure.checkRebuild();
    parts.services.open();
    parts.phase = 'networks';
    for (const { id, add } of parts.networks) await attributed(id, add);
    parts.phase = undefined;
    parts.run = makeRun(config, parts);
    return { run: parts.run, parts, resolved, order, backend, teardown };
  } catch (error) {
    await teardown().catch(() => undefined); // the first error is the one to see
    throw error;
  }
}

function contextParts(
  { seed = 0, folder, resolvePath = (path) => path }: SessionConfig,
  structure: Structure,
  order: readonly Placed<Plugin>[],
): ContextParts {
  const clock = { epoch: 0, step: 0, microSteps: 0, batchesInEpoch: 0 };
  const plugins = new Map(order.map(({ item }) => [item.id, item]));
  const parts: ContextParts = {
    seed,
    folder,
    resolvePath,
    clock,
    structure,
    losses: {},
    logits: [],
    networks: [],
    lookAhead: false,
    services: new Services(),
    telemetry: new Telemetry(),
    states: new Map(),
    teardowns: [],
    phase: 'setup',
    run: undefined,
    signal: undefined,
    taps: new Taps(
      clock,
      (id, hook, argument) => adapt(plugins.get(id)!, hook, argument),
      () => structure.parameters.values(),
      (plugin, hook, value) => inspectHandedOn(parts, { plugin, hook, value }),
    ),
  };
  return parts;
}

/** Notes the batches that `batch` taps made, and checks names of gradients and shapes of targets. */
function inspectHandedOn(
  { run, losses, structure }: ContextParts,
  { plugin, hook, value }: { plugin: string; hook: HookName; value: unknown },
): void {
  if (hook === 'batch') run?.seen.push({ plugin, value: value as Batch });
  if (hook === 'gradients') refuseUnknown(value as NamedTensors, structure.parameters.trainable);
  if (hook !== 'batch' && hook !== 'targets') return;
  const targets = hook === 'batch' ? (value as Batch).targets : (value as NamedTensors);
  const { outputShapes } = structure.network;
  for (const [output, loss] of Object.entries(losses)) {
    checkTargetShape(loss, targets[output]!, { output, shape: outputShapes[output]! });
  }
}

function refuseUnknown(gradients: NamedTensors, trainable: readonly string[]): void {
  const known = new Set(trainable);
  const unknown = Object.keys(gradients).find((path) => !known.has(path));
  if (unknown === undefined) return;
  throw new EspalierError('hooks/bad-return', {
    problem: `this 'gradients' tap returned a gradient for '${unknown}', which is no parameter that trains`,
    fix: `${suggest(unknown, trainable)} Return { ...argument, … }.`,
  });
}

/** Gives each plugin its own view of the loss terms. */
function adapt<H extends HookName>(
  { id, effects }: Plugin,
  hook: H,
  argument: HookArguments[H],
): HookArguments[H] {
  if (hook !== 'loss') return argument;
  const context = argument as LossContext;
  const shared = context.terms as unknown as TermTable;
  const mayAdd = allows(effects, 'loss', ['add', 'own']);
  const mayTouch = (term: string) => allows(effects, `loss:${term}`, ['modify', 'replace', 'own']);
  const terms = shared.viewFor(id, mayAdd, mayTouch);
  return { ...context, terms } as unknown as HookArguments[H];
}

async function applyPlugin(plugin: Plugin, parts: ContextParts): Promise<void> {
  await attributed(plugin.id, () => plugin.apply(contextFor(plugin, parts)));
  if (plugin.stateless !== parts.states.has(plugin.id)) return;
  throw new EspalierError('plugin/state', {
    problem: plugin.stateless
      ? `plugin '${plugin.id}' says stateless: true but calls ctx.keepState`
      : `plugin '${plugin.id}' neither says stateless: true nor calls ctx.keepState`,
    fix: 'A run can be resumed only when every plugin says what it keeps: do exactly one of the two.',
  });
}

async function attributed(plugin: string, act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
    refuseLateCopy();
  } catch (error) {
    throw attribute(error, { plugin, hook: 'apply' });
  }
}

function makeRun(config: SessionConfig, parts: ContextParts): Run {
  const { structure } = parts;
  const run = new Run({
    ...parts,
    semantics: semanticsOf(config),
    optimizer: optimizerOf(config.optimizer, structure),
    accumulate: config.accumulate ?? 1,
    logInterval: config.logInterval ?? 50,
    validation: config.validation,
  });
  run.initOptimizerState();
  return run;
}

function lossesOf(config: SessionConfig, { ownOutputs, network }: Structure): FittedLosses {
  const losses = lossPerOutput(config, ownOutputs);
  checkLosses(losses, ownOutputs);
  return fitLosses(losses, network, semanticsOf(config));
}

function semanticsOf({ semantics = 'espalier' }: SessionConfig): Semantics {
  return semantics;
}

function lossPerOutput(
  { loss }: SessionConfig,
  outputs: readonly string[],
): Readonly<Record<string, Loss>> {
  if (typeof loss.perExample !== 'function') return loss as Readonly<Record<string, Loss>>;
  if (outputs.length === 1) return { [outputs[0]!]: loss as Loss };
  throw new EspalierError('session/loss', {
    problem: `the model has the outputs '${outputs.join("', '")}', so it must be said which the loss is of`,
    received: loss,
    fix: `Give a loss per output that has targets: { ${outputs[0]}: crossEntropy() }.`,
  });
}

function optimizerOf(
  optimizer: SessionConfig['optimizer'],
  structure: Structure,
): GradientTransform {
  if (isTransform(optimizer)) return optimizer;
  const { groups } = structure.parameters;
  const unknown = Object.keys(optimizer).find((group) => !groups.includes(group));
  if (unknown === undefined)
    return byGroup(optimizer, (path) => structure.parameters.findGroup(path));
  throw new EspalierError('optim/unknown-group', {
    problem: `there is an optimizer for the group '${unknown}', which has no parameters`,
    fix: suggest(unknown, groups),
  });
}

async function tearDown({ teardowns, services, structure, run }: ContextParts): Promise<void> {
  const failures: EspalierError[] = [];
  for (const { id, undo } of teardowns.splice(0).reverse()) {
    try {
      await undo();
    } catch (error) {
      failures.push(attribute(error, { plugin: id, hook: 'teardown' }));
    }
  }
  await services.close();
  if (run) run.dispose();
  else structure.dispose();
  if (failures.length > 0) {
    throw new EspalierError('session/teardown', {
      problem: `all was torn down, but: ${failures.map(({ message }) => message).join('; ')}`,
      cause: failures[0],
    });
  }
}
