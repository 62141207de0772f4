import type { Inspection } from '@espalier/core';
import { columns } from '../columns.js';
import { loadConfig } from '../load-config.js';
import { withSession } from '../with-session.js';

/** Options of `espalier inspect`. */
export interface InspectOptions {
  readonly set: readonly string[];
  readonly json?: boolean;
}

/** Prints what a run is made of. */
export async function inspect(path: string, { set, json }: InspectOptions): Promise<void> {
  const loaded = await loadConfig(path, set);
  const inspection = await withSession(loaded, async (session) => session.inspect());
  const text = json ? JSON.stringify(inspection, undefined, 2) : describe(inspection);
  process.stdout.write(`${text}\n`);
}

function describe(inspection: Inspection): string {
  const { backend, manifest, outputs, services } = inspection;
  const bound = Object.entries(services).map(([token, owner]) => [token, owner]);
  return [
    backend,
    section('Plugins, in order', plugins(inspection)),
    section('Options and where they come from', options(inspection)),
    section('Hooks that are tapped', hooks(inspection)),
    section('Services', columns(bound)),
    section(`Parameters of the outputs ${outputs.join(', ')}`, parameters(inspection)),
    `manifest ${manifest.hash}${manifest.portable ? '' : ` (not portable: ${manifest.inline.join(', ')})`}`,
  ].join('\n\n');
}

function section(title: string, body: string): string {
  return `${title}\n${body || '  none'}`;
}

function plugins({ plugins: placed }: Inspection): string {
  return columns(
    placed.map(({ id, version, because }, i) => [
      `${i + 1}.`,
      id,
      version,
      `(${because.join(', ')})`,
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
      JSON.stringify(value),
      `(${plugin.origins[field]})`,
    ]);
  });
  return columns(rows);
}

function hooks({ hooks: all }: Inspection): string {
  const tapped = all.filter(({ taps }) => taps.length > 0);
  return columns(
    tapped.map(({ hook, kind, taps }) => [hook, kind, taps.map((tap) => tap.plugin).join(' → ')]),
  );
}

function parameters({ parameters: all }: Inspection): string {
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
  return `${columns(rows)}\n  ${total(all)} in all: ${groups.join(', ')}`;
}
