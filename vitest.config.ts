import { defineConfig } from 'vitest/config';

// Tests read the packages' TypeScript sources; processes that tests start run the built packages.
const conditions = ['@espalier/source', 'node', 'import', 'module', 'default'];

/** The backend of the kit's cases, where the variable names none: `npm test` takes wasm, `test:long` cpu. */
const onBackend = (name: string) => ({
  ESPALIER_TEST_BACKENDS: process.env['ESPALIER_TEST_BACKENDS'] ?? name,
});
const CONFORMANCE = '{plugins,presets}/*/test/conformance*.test.ts';

const suite = (name: string, include: string[], isolate = true, env = {}) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    include,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks' as const,
    isolate,
    env,
    setupFiles: ['./vitest.setup.ts'],
  },
});

const SHARING = [
  'attach',
  'base',
  'checkpoint',
  'cli',
  'compress',
  'compression',
  'config',
  'data',
  'formats',
  'linalg',
  'losses',
  'model',
  'optim',
  'report',
  'study',
  'telemetry',
  'trainer',
];
const core = (before: string, after: string) =>
  `core/${before}${SHARING.join(before === '{' ? ',' : '|')}${after}/test/**/*.test.ts`;

export default defineConfig({
  test: {
    // The default leaves a core idle, which is half of a machine with two.
    maxWorkers: '100%',
    projects: [
      // A process of its own for each file costs seconds; only tests that change what a process
      // has one of (backends, kernels, prototypes, signals) need one.
      suite('unit', ['{plugins,presets}/*/test/**/!(conformance*).test.ts', core('{', '}')], false),
      suite('unit-conformance', [CONFORMANCE], false, onBackend('wasm')),
      suite('unit-isolated', [core('!(', ')'), 'test/cross/**/*.test.ts']),
      suite('long', ['test/long/**/*.test.ts', '{core,plugins}/*/test/**/*.long.ts']),
      suite('long-conformance', [CONFORMANCE], false, onBackend('cpu')),
      suite('faults', ['test/faults/**/*.test.ts', 'core/*/test/**/*.faults.ts']),
      suite('browser', ['test/browser/**/*.test.ts']),
      suite('python', ['test/python/**/*.test.ts']),
      suite('packages', ['test/packages/**/*.test.ts']),
    ],
  },
});
