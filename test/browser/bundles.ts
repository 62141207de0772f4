import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as buildWithEsbuild } from 'esbuild';
import { build as buildWithVite } from 'vite';
import type { Rolldown } from 'vite';

/** The files of a site, by path. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Bundles modules beside this file, each for itself.
 *
 * @param entries Module by the name that its bundle gets.
 * @param conditions `@espalier/source` for the packages' sources, none for what they publish.
 */
export async function bundleWithEsbuild(
  entries: Readonly<Record<string, string>>,
  conditions: readonly string[] = [],
): Promise<Files> {
  const { outputFiles } = await buildWithEsbuild({
    entryPoints: Object.entries(entries).map(([out, entry]) => ({ in: here(entry), out })),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    conditions: [...conditions],
    external: ['vitest'], // the kit's test runner; nothing of it is reached, so nothing is left of it
    write: false,
    outdir: '/',
  });
  return new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
}

/** Builds the folder of an `index.html` as `npx vite build` does. */
export async function bundleWithVite(folder: string): Promise<Files> {
  const built = await buildWithVite({
    root: here(folder),
    logLevel: 'error',
    build: { write: false },
  });
  const { output } = built as Rolldown.RolldownOutput;
  return new Map(
    output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]),
  );
}
