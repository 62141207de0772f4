import { defineConfig } from 'vitest/config';

// Tests read the packages' TypeScript sources; processes that tests start run the built packages.
const conditions = ['@espalier/source', 'node', 'import', 'module', 'default'];

const suite = (name: string, include: string[]) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    include,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks' as const,
    setupFiles: ['./vitest.setup.ts'],
  },
});

export default defineConfig({
  test: {
    projects: [
      suite('unit', ['{core,plugins,presets}/*/test/**/*.test.ts', 'test/cross/**/*.test.ts']),
      suite('faults', ['test/faults/**/*.test.ts']),
      suite('browser', ['test/browser/**/*.test.ts']),
      suite('python', ['test/python/**/*.test.ts']),
      suite('packages', ['test/packages/**/*.test.ts']),
    ],
  },
});
