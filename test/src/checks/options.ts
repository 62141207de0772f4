import { EspalierError, resolvePreset } from '@espalier/core';
import type { Preset } from '@espalier/core';
import * as z from 'zod';
import { demand } from '../fail.js';
import { pluginOf } from '../subject.js';
import type { PluginSubject, PresetSubject } from '../subject.js';

/**
 * Options: the case's options are accepted, parsing them twice gives the same, defaults are plain
 * JSON, an unknown option is refused by an error that names the plugin and the option, and the
 * schema can be shown to editors as JSON Schema.
 */
export async function checkOptions(subject: PluginSubject): Promise<void> {
  const { factory, options } = subject;
  const made = (given: unknown) => pluginOf({ ...subject, options: given });
  const plugin = made(options);
  const again = made(plugin.options);
  demand(
    JSON.stringify(again.options) === JSON.stringify(plugin.options),
    'options',
    'parsing parsed options changes them; make defaults stable',
  );
  demand(typeof plugin.version === 'string' && plugin.version !== '', 'options', 'give a version');
  await demandRefusal(() => made({ ...(options as object), noSuchOption: 1 }));
  try {
    z.toJSONSchema(factory.definition.options, { io: 'input', unrepresentable: 'any' });
  } catch (error) {
    demand(false, 'options', `no JSON Schema can be made from the options: ${String(error)}`);
  }
}

/**
 * Options of a preset: the case's options are accepted, an unknown one is refused by an error that
 * names it, and the preset written as JSON and read again means the same, unless it holds functions.
 */
export async function checkPresetOptions({
  preset,
  options,
  session,
}: PresetSubject): Promise<void> {
  const resolved = (made: Preset) => resolvePreset(made, session);
  const made = preset(options as never);
  const { manifest } = await resolved(made);
  if (manifest.portable) {
    const read = await resolved(JSON.parse(JSON.stringify(made)) as Preset);
    demand(
      read.manifest.hash === manifest.hash,
      'options',
      'the preset means something else once it went through JSON; leave out options that are undefined, and give numbers that are finite',
    );
  }
  await demandRefusal(() => {
    return resolved(preset({ ...(options as object), noSuchOption: 1 } as never));
  });
}

/** Demands that an option called noSuchOption be refused by its name. */
async function demandRefusal(make: () => unknown): Promise<void> {
  const error = await refusal(make);
  demand(
    error instanceof EspalierError && error.message.includes('noSuchOption'),
    'options',
    'an unknown option is accepted silently; use z.strictObject',
  );
}

async function refusal(fn: () => unknown): Promise<unknown> {
  try {
    await fn();
    return undefined;
  } catch (error) {
    return error;
  }
}
