/** A program that loads the result from `dir`: its imports register the result's layers. */
export function writeLoadingCode(modules: readonly string[], dir: string): string {
  return [
    "import { useBackend } from '@espalier/backend';",
    "import { loadArtifact } from '@espalier/formats/node';",
    ...modules.map((name) => `import '${name}';`),
    '',
    'await useBackend();',
    `const { model } = await loadArtifact(${JSON.stringify(dir)});`,
  ].join('\n');
}
