import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import ts from 'typescript';

/** The packages that a folder of TypeScript names: in imports, and in strings of any kind. */
export interface Named {
  readonly imported: ReadonlySet<string>;
  /** Optional peers are loaded by a name held in a string. */
  readonly quoted: ReadonlySet<string>;
}

/** Reads every `.ts` file below `folder`; types count as imports, since declarations keep them. */
export function packagesNamedIn(folder: string): Named {
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(folder, path), 'utf8'));
  return {
    imported: new Set(sources.flatMap(importedPackages)),
    quoted: new Set(sources.flatMap(quotedPackages)),
  };
}

function importedPackages(source: string): readonly string[] {
  return ts
    .preProcessFile(source, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => !name.startsWith('.') && !isBuiltin(name))
    .map(packageOf);
}

const quotedPackages = (source: string): readonly string[] =>
  [...source.matchAll(/'((?:@[a-z-]+\/)?[a-z][a-z0-9-]*)'/g)].map((match) => match[1]!);

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
