import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { bundle, runBundle } from './bundle.js';
import type { BundleOptions } from './bundle.js';
import { hasSources, publicWorkspaces } from './workspaces.mjs';

/** A command line and what only Node can load: no page imports them. */
const nodeOnly = /^espalier$|^@espalier\/(config|study|testkit)$|\/node$|\.json$/;
const entries = publicWorkspaces()
  .filter(hasSources)
  .flatMap(({ manifest: { name, exports = {} } }) =>
    Object.keys(exports).map((entry) => name + entry.slice(1)),
  )
  .filter((entry) => !nodeOnly.test(entry));

/** The bundle of a page that says `import '<entry>'` and nothing else. */
const bundleOf = (entry: string, options: BundleOptions) => bundle(`import '${entry}';`, options);

/** Names of the layers, kernels and gradients that a bundle registers with tfjs. */
function registered(script: string): readonly string[] {
  const names: string[] = [];
  const serialization = {
    ...tf.serialization,
    registerClass: ({ className }: { className: string }) => names.push(className),
  };
  const register = ({ kernelName }: { kernelName: string }) => names.push(kernelName);
  const core = { ...tf, serialization, registerKernel: register, registerGradient: register };
  runBundle(script, { '@tensorflow/tfjs-core': core });
  return [...new Set(names)].sort();
}

describe.each([
  { what: 'sources', conditions: ['@espalier/source'] },
  { what: 'built files', conditions: [] },
])('import of a whole package for what it registers, from its $what', ({ conditions }) => {
  test.each(entries)("import '%s' survives a bundler", async (entry) => {
    const all = registered(await bundleOf(entry, { conditions, ignoreAnnotations: true }));
    const kept = await bundleOf(entry, { conditions });
    expect(registered(kept)).toEqual(all);
    // What registers nothing costs a page nothing.
    if (all.length === 0) expect(kept).not.toMatch(/require\(/);
  });
});

test('there are packages that register, and such that do not', async () => {
  const conditions = ['@espalier/source'];
  const of = async (name: string) => registered(await bundleOf(name, { conditions }));
  expect(await of('@espalier/plugin-block-low-rank')).toContain('BlockLowRankEmbedding');
  expect(await of('@espalier/plugin-quantizer')).toContain('StoredDense');
  expect(await of('@espalier/plugin-label-smoothing')).toEqual([]);
});
