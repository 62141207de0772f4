import { defineConfig } from 'vitest/config';

// Tests read the packages' TypeScript sources; processes that tests start run the built packages.
const conditions = ['@espalier/source', 'node', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{core,plugins,presets}/*/test/**/*.test.ts', 'test/cross/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    setupFiles: ['./vitest.setup.ts'],
  },
});
