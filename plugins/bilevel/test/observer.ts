import { definePlugin } from '@espalier/core';
import type { BaseContext, Effects } from '@espalier/core';
import { z } from 'zod';

type Context = Pick<BaseContext<Effects>, 'get'>;

/** Shows a test the services of the run after each step. */
export const observer = Object.assign(
  definePlugin({
    id: 'observer',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply(ctx) {
      ctx.hooks.afterStep.tap(() => observer.onStep?.(ctx));
    },
  }),
  { onStep: undefined as ((ctx: Context) => void) | undefined },
);
