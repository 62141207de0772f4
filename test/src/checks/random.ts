import type { Batch, LossContext, Plugin, PluginContext } from '@espalier/core';
import { withSession } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';
import { watch } from '../watch.js';
import type { Watched } from '../watch.js';

/**
 * Random draws: no stream of `ctx.random` that a `batch` or `loss` tap asks for begins alike for two
 * micro-batches, or an accumulated step would see less randomness than one large batch does.
 */
export async function checkRandom(subject: Subject): Promise<void> {
  const drawn = new Map<number, Batch['key']>();
  let repeated: string | undefined;
  const wrap = (plugin: Plugin): Plugin => {
    let key: Batch['key'] | undefined;
    const seen = withRandomSeen(plugin, (purpose, first) => {
      if (key === undefined) return;
      if ((drawn.get(first) ?? key) !== key) repeated ??= purpose;
      drawn.set(first, key);
    });
    return watch(seen, (tap) => {
      const outer = key;
      key = keyOf(tap);
      const result = tap.run();
      if (tap.hook === 'loss') key = outer;
      return result;
    });
  };
  await withSession(openSession(subject, { wrap }), (session) => session.fit({ epochs: 1 }));
  demand(
    repeated === undefined,
    'random draws',
    `ctx.random('${repeated}') gives two micro-batches of one step the same draws; in a batch tap, put batch.key into the purpose`,
  );
}

/** Tells each purpose that the plugin asks a stream for, and the first draw of that stream. */
function withRandomSeen(plugin: Plugin, note: (purpose: string, first: number) => void): Plugin {
  return {
    ...plugin,
    apply(context) {
      const random: PluginContext['random'] = (purpose) => {
        note(purpose, context.random(purpose)());
        return context.random(purpose);
      };
      return plugin.apply(Object.create(context, { random: { value: random } }) as PluginContext);
    },
  };
}

/** The key of the micro-batch that a tap works on, if it works on one. */
function keyOf({ hook, argument }: Watched): Batch['key'] | undefined {
  if (hook === 'batch') return (argument as Batch).key;
  return hook === 'loss' ? (argument as LossContext).batch.key : undefined;
}
