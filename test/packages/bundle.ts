import { createRequire } from 'node:module';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { root } from './workspaces.mjs';

const ours = /^(\.|@espalier\/)/;
const othersStayOutside: Plugin = {
  name: 'only our packages are bundled',
  setup({ onResolve }) {
    onResolve({ filter: /^/ }, ({ path, kind }) =>
      kind === 'entry-point' || ours.test(path) ? undefined : { path, external: true },
    );
  },
};

/** How to bundle. */
export interface BundleOptions {
  readonly conditions: readonly string[];
  /** Keep what packages say may be dropped. */
  readonly ignoreAnnotations?: boolean;
}

/** The script of a page that consists of one module; what is not ours is left to `require`. */
export async function bundle(contents: string, options: BundleOptions): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    format: 'cjs',
    platform: 'browser',
    write: false,
    logLevel: 'silent',
    plugins: [othersStayOutside],
    ...options,
    conditions: [...options.conditions],
  });
  return outputFiles[0]!.text;
}

/** Runs a bundle, which can import nothing at run time; what it exports. */
export function runBundle(
  script: string,
  modules: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const load = createRequire(root);
  const require = (id: string): unknown => modules[id] ?? load(id);
  const module = { exports: {} };
  new Function('require', 'module', script)(require, module);
  return module.exports;
}
