import { EspalierError, suggest } from '@espalier/base';
import type { Loss, OutputKind } from '@espalier/losses';
import type { EditRecord } from '@espalier/model';
import { HOOKS } from './hooks/hooks.js';
import type { HookName } from './hooks/hooks.js';
import type { TapCost } from './hooks/taps.js';
import type { OptimizerPart } from './loop/optimizer-part.js';
import type { Manifest } from './preset/index.js';
import type { Run } from './run.js';
import type { Semantics } from './settings.js';

/** A run as plain data. */
export interface Inspection {
  readonly backend: string;
  readonly semantics: Semantics;
  readonly plugins: readonly { id: string; version: string; reasons: readonly string[] }[];
  readonly hooks: readonly {
    hook: HookName;
    kind: string;
    doc: string;
    taps: readonly { plugin: string; reasons: readonly string[] }[];
  }[];
  /** Options with the origin of each value, versions, hash. */
  readonly manifest: Manifest;
  readonly outputs: readonly string[];
  /**
   * By output of the user's model: its loss, what that takes (absent: whatever the model gives), and the
   * activation that training and evaluation leave out.
   */
  readonly losses: Readonly<Record<string, LossInfo>>;
  readonly parameters: readonly {
    path: string;
    shape: readonly number[];
    trainable: boolean;
    group: string;
  }[];
  /** The optimizers and what each moves: the run's own first, then those of plugins. */
  readonly optimizers: readonly OptimizerInfo[];
  /** By plugin: what it multiplies the updates of the optimizer by at this moment. */
  readonly updateScales: Readonly<Record<string, number>>;
  /** The plugin whose values evaluations use in place of parameters, if there is one. */
  readonly evaluatedAt: string | undefined;
  /** Token → who provides it. */
  readonly services: Readonly<Record<string, string>>;
  readonly edits: readonly EditRecord[];
  /** What each tap cost so far. */
  readonly tapCosts: readonly TapCost[];
}

/** An optimizer as plain data. */
export interface OptimizerInfo {
  readonly name: string;
  /** The plugin that has it for parameters of its own; absent: the run's. */
  readonly plugin?: string;
  /** The group for which `createSession` has an optimizer, which takes the place of the plugin's. */
  readonly group?: string;
  /** Steps that it has made. */
  readonly steps: number;
  /** Paths of the parameters that it moves. */
  readonly parameters: readonly string[];
}

/** A loss as plain data. */
export interface LossInfo {
  readonly name: string;
  readonly from?: OutputKind;
  readonly without?: string;
}

function describeOptimizer(
  { name, claim, given, paths: parameters }: OptimizerPart,
  { clock }: Run,
): OptimizerInfo {
  if (!claim) return { name, steps: clock.step, parameters };
  const { plugin, steps } = claim;
  return { name, plugin, ...(given !== undefined && { group: given }), steps, parameters };
}

function describeLoss(
  { settings, structure }: Run,
  output: string,
  { name, from }: Loss,
): LossInfo {
  const without = settings.logits.includes(output)
    ? structure.network.heads[output]!.activation
    : undefined;
  return { name, ...(from && { from }), ...(without && { without }) };
}

/** Describes a run. */
export function inspect(run: Run): Inspection {
  const { order, preset, services, settings, structure, taps } = run;
  const { parameters } = structure;
  return {
    backend: settings.backend.line,
    semantics: settings.semantics,
    plugins: order.map(({ item: { id, version }, reasons }) => ({ id, version, reasons })),
    hooks: (Object.keys(HOOKS) as HookName[]).map((hook) => {
      const { kind, doc } = HOOKS[hook];
      return { hook, kind, doc, taps: taps.listTaps(hook) };
    }),
    manifest: preset.manifest,
    outputs: structure.network.outputNames,
    losses: Object.fromEntries(
      Object.entries(settings.losses).map(([output, loss]) => [
        output,
        describeLoss(run, output, loss),
      ]),
    ),
    parameters: parameters.paths.map((path) => ({
      path,
      shape: parameters.value(path).shape,
      trainable: parameters.isTrainable(path),
      group: parameters.findGroup(path),
    })),
    optimizers: run.optimizer.parts.map((part) => describeOptimizer(part, run)),
    updateScales: Object.fromEntries(run.updateScales),
    evaluatedAt: run.evaluatedAt?.plugin,
    services: services.providers,
    edits: structure.edits,
    tapCosts: taps.costs,
  };
}

/**
 * Who taps a hook, in which order and why; without a hook, all that are tapped.
 *
 * @throws EspalierError `hooks/unknown`.
 */
export function explain(inspection: Inspection, hook?: string): string {
  const names = Object.keys(HOOKS);
  if (hook !== undefined && !names.includes(hook)) {
    throw new EspalierError('hooks/unknown', {
      problem: `there is no hook '${hook}'`,
      fix: suggest(hook, names),
    });
  }
  const chosen = inspection.hooks.filter(
    (row) => row.hook === hook || (hook === undefined && row.taps.length > 0),
  );
  if (chosen.length === 0) return 'No plugin taps any hook.';
  const others = hook === undefined ? describeOthers(inspection) : [];
  return [...chosen.map(describeHook), ...others].join('\n\n');
}

/** What plugins change outside of hooks. */
function describeOthers({ optimizers, updateScales, evaluatedAt }: Inspection): string[] {
  const own = optimizers.flatMap((optimizer) => describeOwnOptimizer(optimizer));
  const scales = Object.entries(updateScales).map(([plugin, scale]) => `${plugin} × ${scale}`);
  return [
    ...own,
    ...(scales.length === 0 ? [] : [`updates of the optimizer: ${scales.join(', ')}`]),
    ...(evaluatedAt === undefined ? [] : [`evaluations use the values of ${evaluatedAt}`]),
  ];
}

function describeOwnOptimizer({ name, plugin, group, parameters }: OptimizerInfo): string[] {
  if (plugin === undefined) return [];
  const whose = group === undefined ? `of ${plugin}` : `of createSession for '${group}'`;
  return [`optimizer ${whose}: ${name}, for ${parameters.join(', ') || 'nothing that trains'}`];
}

function describeHook({ hook, kind, doc, taps }: Inspection['hooks'][number]): string {
  const lines = taps.map(
    ({ plugin, reasons }, i) => `  ${i + 1}. ${plugin} (${reasons.join(', ')})`,
  );
  return [`${hook} [${kind}] ${doc}`, ...(lines.length > 0 ? lines : ['  no taps'])].join('\n');
}
