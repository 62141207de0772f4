import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { build } from 'esbuild';
import type { BuildOptions, Plugin } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { hasSources, publicWorkspaces, root } from './workspaces.js';

/** A command line and what only Node can load: no page imports them. */
const nodeOnly = /^espalier$|^@espalier\/(config|study|testkit)$|\/node$|\.json$/;
const entries = publicWorkspaces()
  .filter(hasSources)
  .flatMap(({ manifest: { name, exports = {} } }) =>
    Object.keys(exports).map((entry) => name + entry.slice(1)),
  )
  .filter((entry) => !nodeOnly.test(entry));

const ours = /^(\.|@espalier\/)/;
const othersStayOutside: Plugin = {
  name: 'only our packages are bundled',
  setup({ onResolve }) {
    onResolve({ filter: /^/ }, ({ path, kind }) =>
      kind === 'entry-point' || ours.test(path) ? undefined : { path, external: true },
    );
  },
};

/** The bundle of a page that says `import '<entry>'` and nothing else. */
async function bundle(entry: string, options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: `import '${entry}';`, resolveDir: root },
    bundle: true,
    format: 'cjs',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
    plugins: [othersStayOutside],
    ...options,
  });
  return outputFiles![0]!.text;
}

/** Names of the layers, kernels and gradients that a bundle registers with tfjs. */
function registered(script: string): readonly string[] {
  const names: string[] = [];
  const serialization = {
    ...tf.serialization,
    registerClass: ({ className }: { className: string }) => names.push(className),
  };
  const register = ({ kernelName }: { kernelName: string }) => names.push(kernelName);
  const core = { ...tf, serialization, registerKernel: register, registerGradient: register };
  const load = createRequire(root);
  const require = (id: string): unknown => (id === '@tensorflow/tfjs-core' ? core : load(id));
  new Function('require', 'module', script)(require, { exports: {} });
  return [...new Set(names)].sort();
}

describe.each([
  { what: 'sources', conditions: ['@espalier/source'] },
  { what: 'built files', conditions: [] },
])('import of a whole package for what it registers, from its $what', ({ conditions }) => {
  test.each(entries)("import '%s' survives a bundler", async (entry) => {
    const all = registered(await bundle(entry, { conditions, ignoreAnnotations: true }));
    const kept = await bundle(entry, { conditions });
    expect(registered(kept)).toEqual(all);
    // What registers nothing costs a page nothing.
    if (all.length === 0) expect(kept).not.toMatch(/require\(/);
  });
});

test('there are packages that register, and such that do not', async () => {
  const conditions = ['@espalier/source'];
  const of = async (name: string) => registered(await bundle(name, { conditions }));
  expect(await of('@espalier/plugin-block-low-rank')).toContain('BlockLowRankEmbedding');
  expect(await of('@espalier/plugin-quantizer')).toContain('StoredDense');
  expect(await of('@espalier/plugin-label-smoothing')).toEqual([]);
});
