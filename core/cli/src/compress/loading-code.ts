import { artifactPlugins } from './artifact-plugins.js';
import type { Compressed } from './compressed.js';

/** A program that loads the result from `dir`: what it has to import is what registers its layers. */
export function loadingCode(compressed: Compressed, dir: string): string {
  const changing = new Set(compressed.account.map(({ plugin }) => plugin));
  const modules = artifactPlugins(compressed)
    .filter(({ id }) => changing.has(id))
    .flatMap(({ use }) => (use === undefined ? [] : [use.split('#')[0]!]));
  return [
    "import { useBackend } from '@espalier/backend';",
    "import { loadArtifact } from '@espalier/artifact/node';",
    ...[...new Set(modules)].map((name) => `import '${name}';`),
    '',
    'await useBackend();',
    `const { model } = await loadArtifact(${JSON.stringify(dir)});`,
  ].join('\n');
}
