import { quoteCode } from '@espalier/base';

/** A program that loads the result from `dir`: its imports register the result's layers. */
export function writeLoadingCode(modules: readonly string[], dir: string): string {
  return [
    "import { useBackend } from '@espalier/backend';",
    "import { loadArtifact } from '@espalier/formats/node';",
    ...modules.map(writeImport),
    '',
    'await useBackend();',
    `const { model } = await loadArtifact(${quoteCode(dir)});`,
  ].join('\n');
}

/** Packages and files beside the program; what the artifact of somebody else names besides is code to be looked at first. */
const MODULE = /^(@[\w.-]+\/|\.{1,2}\/)*[\w][\w.-]*(\/[\w.-]+)*$/;

/** The line that imports a module, which an artifact may have named. */
export function writeImport(name: string): string {
  if (MODULE.test(name)) return `import ${quoteCode(name)};`;
  return `// The artifact names no package: ${quoteCode(name)}. Look at it before you import it.`;
}
