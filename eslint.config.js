import js from '@eslint/js';
import perfectionist from 'eslint-plugin-perfectionist';
import tseslint from 'typescript-eslint';

const noMathRandom = [
  'error',
  {
    object: 'Math',
    property: 'random',
    message: 'All randomness goes through keyed streams: see keyedRng of @espalier/base.',
  },
];
const deepImports = {
  group: ['@tensorflow/*/*', '@espalier/*/src/*', '@espalier/*/dist/*'],
  message: 'Import what a package exports, nothing deeper.',
};
const nodeImports = {
  group: ['node:*'],
  message: 'Core and plugins run in a browser too; Node code lives behind a conditional export.',
};

const bareOutput = {
  selector:
    "CallExpression[callee.property.name='write'] > MemberExpression > :matches(MemberExpression[property.name=/^std(out|err)$/], Identifier[name=/^std(out|err)$/])",
  message: 'Use print of print.ts: names of others may hold what a terminal obeys.',
};

// Node, packages, relative paths, in one block; the types of a module follow its values.
const importOrder = [
  'error',
  {
    groups: ['builtin', 'external', ['parent', 'sibling', 'index']],
    newlinesBetween: 0,
    internalPattern: [],
  },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', 'runs/**', '.venv/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
    plugins: { perfectionist },
    rules: {
      'perfectionist/sort-imports': importOrder,
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
      'no-restricted-properties': noMathRandom,
      'no-restricted-imports': ['error', { patterns: [deepImports] }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['core/*/src/**/*.ts', 'plugins/*/src/**/*.ts', 'presets/*/src/**/*.ts'],
    ignores: ['core/*/src/node/**', 'core/backend/src/index.ts', 'core/{cli,config,study}/**'],
    rules: { 'no-restricted-imports': ['error', { patterns: [deepImports, nodeImports] }] },
  },
  {
    // The one place that serves Math.random from keyed streams, and the kit that catches its use.
    files: [
      'core/model/src/with-random.ts',
      'test/src/checks/{effects,leaks}.ts',
      'test/long/testkit.test.ts',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['core/cli/src/**/*.ts'],
    ignores: ['core/cli/src/print.ts'],
    rules: { 'no-restricted-syntax': ['error', bareOutput] },
  },
  {
    files: ['core/trainer/src/**/*.ts'],
    ignores: ['core/trainer/src/plugins/services.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [deepImports],
          paths: [{ name: 'inversify', message: 'Only the composition root knows the container.' }],
        },
      ],
    },
  },
);
