import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.js';

/** Page checks in a real Chromium: `npm run setup:browser` first. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [] } },
  defineConfig({ test: { include: ['test/browser/**/*.test.ts'] } }),
);
