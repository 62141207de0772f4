import { definePlugin } from '@espalier/core';
import type { AnyPluginFactory } from '@espalier/core';
import { z } from 'zod';

/** Two plugins that do nothing, and a module map that names them as packages would. */
export const distill = definePlugin({
  id: 'distill',
  version: '1.2.0',
  options: z.strictObject({
    temperature: z.number().default(3),
    alpha: z.number().default(0.3),
    weights: z.unknown().optional(),
  }),
  effects: { loss: 'add' },
  order: { after: ['exits'], optional: ['exits'] },
  stateless: true,
  apply() {},
});

export const exits = definePlugin({
  id: 'exits',
  version: '2.0.0',
  options: z.strictObject({ at: z.array(z.string()).default([]) }),
  stateless: true,
  apply() {},
});

/** A plugin that says where it can be imported. */
export const named = definePlugin({
  id: 'named',
  version: '1.0.0',
  exportedAs: '@x/named#named',
  options: z.strictObject({ alpha: z.number().default(0.3), beta: z.number().default(1) }),
  stateless: true,
  apply() {},
});

export const modules: Record<string, Record<string, unknown>> = {
  '@x/distill': {
    distill,
    notAFactory: distill({}),
    teacher: (options?: { readonly size: number }) => ({ size: options?.size ?? 1 }),
  },
  '@x/exits': { default: exits },
  '@x/named': { named },
  '@x/presets': {
    byot: ({ temperature = 4 }: { readonly temperature?: number } = {}) => ({
      name: 'byot',
      extends: '@x/presets#supervised',
      plugins: { distill: { use: '@x/distill#distill', options: { temperature } } },
    }),
    supervised: {
      name: 'supervised',
      plugins: { exits: { use: '@x/exits', options: { at: ['a'] } } },
    },
    circle: { extends: '@x/presets#round', plugins: {} },
    round: { extends: '@x/presets#circle', plugins: {} },
    nothing: 5,
  },
};

/**
 * Any factory is accepted where a preset names one: the type check is the test.
 *
 * @public
 */
export const factories: readonly AnyPluginFactory[] = [distill, exits];
