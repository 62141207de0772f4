import { appendFileSync } from 'node:fs';
import { definePlugin } from '@espalier/core';
import { z } from 'zod';

/** Appends the id of its process to the file that `ESPALIER_PIDS` names. */
export const announce = definePlugin({
  id: 'announce',
  version: '1.0.0',
  stateless: true,
  effects: {},
  options: z.strictObject({}),
  apply() {
    if (process.env.ESPALIER_PIDS) appendFileSync(process.env.ESPALIER_PIDS, `${process.pid}\n`);
  },
});
