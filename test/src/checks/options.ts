import { EspalierError } from '@espalier/core';
import * as z from 'zod';
import { demand } from '../fail.js';
import { pluginOf } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Options: the case's options are accepted, parsing them twice gives the same, defaults are plain
 * JSON, an unknown option is refused by an error that names the plugin and the option, and the
 * schema can be shown to editors as JSON Schema.
 */
export async function checkOptions(subject: Subject): Promise<void> {
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
  const error = refusal(() => made({ ...(options as object), noSuchOption: 1 }));
  demand(
    error instanceof EspalierError && error.message.includes('noSuchOption'),
    'options',
    'an unknown option is accepted silently; use z.strictObject',
  );
  try {
    z.toJSONSchema(factory.definition.options, { io: 'input', unrepresentable: 'any' });
  } catch (error) {
    demand(false, 'options', `no JSON Schema can be made from the options: ${String(error)}`);
  }
}

function refusal(fn: () => unknown): unknown {
  try {
    fn();
    return undefined;
  } catch (error) {
    return error;
  }
}
