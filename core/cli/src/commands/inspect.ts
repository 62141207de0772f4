import { basename } from 'node:path';
import { printableLine } from '@espalier/base';
import { describeStage, isCode, loadConfig, listStages, withSession } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import { printValue } from '@espalier/core';
import type { Inspection, Stage } from '@espalier/core';
import { describeBackend } from '../observe.js';
import { print, printJson } from '../print.js';
import { alignColumns } from '../text-columns.js';

/** Options of `espalier inspect`. */
export interface InspectOptions {
  readonly set: readonly string[];
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Settings of a run that a session does not have, or has as code only. */
interface Training {
  readonly loss: unknown;
  readonly optimizer: unknown;
  readonly semantics: Inspection['semantics'];
  readonly epochs?: number;
  readonly stages?: readonly Stage[];
}

/** Prints what a run is made of. */
export async function inspect(path: string, { set, json, verbose }: InspectOptions): Promise<void> {
  const loaded = await loadConfig(path, set);
  await withSession(loaded, async (session) => {
    const inspection = withOrigins(session.inspect(), basename(loaded.file));
    const training = summarizeTraining(loaded, inspection);
    if (json) return printJson({ ...inspection, training }, 'inspection', 2);
    const backend = describeBackend(session.backend, verbose);
    print(describe({ ...inspection, backend }, training));
  });
}

/** Names origins by the configuration's file and by `--set`. */
function withOrigins(inspection: Inspection, file: string): Inspection {
  const words: Readonly<Record<string, string>> = { [`preset ${file}`]: file, override: '--set' };
  const formatPlugins = Object.entries(inspection.manifest.plugins).map(([id, plugin]) => {
    const named = Object.entries(plugin.origins).map(([field, from]) => [
      field,
      words[from] ?? from,
    ]);
    return [
      id,
      { ...plugin, origins: Object.fromEntries(named) as typeof plugin.origins },
    ] as const;
  });
  return {
    ...inspection,
    manifest: { ...inspection.manifest, plugins: Object.fromEntries(formatPlugins) },
  };
}

function summarizeTraining(loaded: LoadedConfig, { semantics }: Inspection): Training {
  const { written, settings } = loaded;
  return {
    loss: isCode(written.loss) ? describeOptimizer(written.loss) : settings.loss,
    optimizer: isCode(written.optimizer)
      ? describeOptimizer(written.optimizer)
      : settings.optimizer,
    semantics,
    epochs: settings.epochs,
    ...(settings.stages && { stages: listStages(loaded) }),
  };
}

/** The name of a loss or optimizer made in code, or the names of several. */
function describeOptimizer(made: unknown): unknown {
  const { name } = made as { readonly name?: unknown };
  if (typeof name === 'string') return `${name} (code)`;
  const several = Object.entries(made as object).map(
    ([key, each]) => [key, describeOptimizer(each)] as const,
  );
  return Object.fromEntries(several);
}

function describe(inspection: Inspection, training: Training): string {
  const { backend, manifest, outputs, services } = inspection;
  const bound = Object.entries(services).map(([token, owner]) => [token, owner]);
  return [
    backend,
    formatSection('Training', trainingRows(training)),
    formatSection('Plugins, in order', plugins(inspection)),
    formatSection('Options and where they come from', options(inspection)),
    formatSection('Hooks that are tapped', formatHooks(inspection)),
    formatSection('Services', alignColumns(bound)),
    formatSection(
      `Parameters of the outputs ${outputs.map(printableLine).join(', ')}`,
      formatParameters(inspection),
    ),
    `manifest ${manifest.hash}${manifest.portable ? '' : ` (not portable: ${manifest.inline.join(', ')})`}`,
  ].join('\n\n');
}

function trainingRows({ loss, optimizer, semantics, epochs, stages }: Training): string {
  return alignColumns([
    ['loss', describeSetting(loss)],
    ['optimizer', describeSetting(optimizer)],
    ['semantics', semantics],
    stages
      ? ['stages', stages.map(describeStage).join(' → ')]
      : ['epochs', epochs === undefined ? 'not set' : String(epochs)],
  ]);
}

/** A name, with options behind it where there are any. */
function describeSetting(made: unknown): string {
  if (typeof made === 'string') return made;
  const { use, ...rest } = made as { readonly use?: string };
  const formatOptions = Object.keys(rest).length > 0 ? [printValue(rest)] : [];
  return [...(use === undefined ? [] : [use]), ...formatOptions].join(' ');
}

function formatSection(title: string, body: string): string {
  return `${title}\n${body || '  none'}`;
}

function plugins({ plugins: placed }: Inspection): string {
  return alignColumns(
    placed.map(({ id, version, reasons }, i) => [
      `${i + 1}.`,
      id,
      version,
      `(${reasons.join(', ')})`,
    ]),
  );
}

function options({ manifest }: Inspection): string {
  const rows = Object.entries(manifest.plugins).flatMap(([id, { options: values, ...plugin }]) => {
    const fields: [string, unknown][] = [
      ['use', plugin.use],
      ...Object.entries(values ?? {}).map(([key, v]): [string, unknown] => [`options.${key}`, v]),
      ...Object.entries(plugin.bind).map(([token, v]): [string, unknown] => [`bind.${token}`, v]),
    ];
    return fields.map(([field, value]) => [
      `${id}.${field}`,
      printValue(value),
      `(${plugin.origins[field]})`,
    ]);
  });
  return alignColumns(rows);
}

function formatHooks({ hooks: all }: Inspection): string {
  const tapped = all.filter(({ taps }) => taps.length > 0);
  return alignColumns(
    tapped.map(({ hook, kind, taps }) => [hook, kind, taps.map((tap) => tap.plugin).join(' → ')]),
  );
}

function formatParameters({ parameters: all }: Inspection): string {
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const total = (which: Inspection['parameters']) =>
    which.reduce((sum, { shape }) => sum + size(shape), 0);
  const groups = [...new Set(all.map(({ group }) => group))].map((group) => {
    const own = all.filter((parameter) => parameter.group === group);
    return `${group} ${total(own)}`;
  });
  const rows = all.map(({ path, shape, trainable, group }) => [
    path,
    `[${shape.join(', ')}]`,
    group,
    trainable ? '' : 'not trained',
  ]);
  return `${alignColumns(rows)}\n  ${total(all)} in all: ${groups.join(', ')}`;
}
