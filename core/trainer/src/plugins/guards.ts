import { EspalierError } from '@espalier/base';
import type { Run } from '../run.js';

/** Limits functions of a context to a time of the run. */
export interface Guards {
  /** What works during `apply` only. */
  atSetup<F extends (...args: never[]) => unknown>(name: string, act: F): F;
  /** What works after every plugin has applied. */
  afterSetup<F extends (...args: never[]) => unknown>(name: string, act: F): F;
}

export function createGuards(run: Run): Guards {
  return {
    atSetup: (name, act) =>
      ((...args: never[]) => {
        const makesNetwork = run.phase === 'networks' && name === 'requestFeatures';
        if (run.phase === 'setup' || makesNetwork) return act(...args);
        throw new EspalierError('plugin/too-late', {
          problem: `ctx.${name} may be called during apply only, so that a resumed session is set up in the same way`,
          fix: 'Call it in apply.',
        });
      }) as typeof act,
    afterSetup: (name, act) =>
      ((...args: never[]) => {
        if (run.phase !== 'setup' && run.phase !== 'networks') return act(...args);
        throw new EspalierError('plugin/too-early', {
          problem: `ctx.${name} was called during apply, before the run is complete`,
          fix: 'Call it inside a tap.',
        });
      }) as typeof act,
  };
}
