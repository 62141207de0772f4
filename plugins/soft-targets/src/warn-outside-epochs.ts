import type { Clock, PluginContext } from '@espalier/core';

type Host = Pick<PluginContext, 'warn'> & {
  readonly hooks: Pick<PluginContext['hooks'], 'afterStep'>;
};

/** What a plugin waits for that only the end of an epoch brings. */
interface Wait {
  /** Whether it still waits. */
  readonly lasts: (clock: Clock) => boolean;
  /** What does not happen meanwhile, as a clause. */
  readonly effect: string;
}

/** Warns, once, of steps that count in no epoch where the plugin waits for one to end. */
export function warnOutsideEpochs({ hooks, warn }: Host, { lasts, effect }: Wait): void {
  let warned = false;
  hooks.afterStep.tap(({ clock }) => {
    if (warned || clock.batchesInEpoch > 0 || !lasts(clock)) return;
    warned = true;
    warn(
      `${effect}, and this step counts in no epoch: use session.fit, or session.beginEpoch, session.step(batch, { inEpoch: true }) and session.endEpoch`,
    );
  });
}
