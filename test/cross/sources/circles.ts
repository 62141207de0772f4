import { relative } from 'node:path';
import { listModuleUses, listSources, parseSource, resolveRelative } from './source-file.js';

/** Groups of files of a folder that import each other, directly or not; types count. */
export function findCircles(folder: string): readonly (readonly string[])[] {
  const files = listSources(folder);
  const imports = new Map(files.map((file) => [file, listImports(file)]));
  const reach = new Map(files.map((file) => [file, followImports(file, imports)]));
  const circles = files.map((file) =>
    files.filter((other) => reach.get(file)!.has(other) && reach.get(other)!.has(file)),
  );
  return circles
    .filter((circle, i) => circle[0] === files[i])
    .map((circle) => circle.map((file) => relative(folder, file)));
}

const listImports = (file: string) =>
  listModuleUses(parseSource(file))
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => resolveRelative(file, specifier));

function followImports(from: string, imports: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [...(imports.get(from) ?? [])];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    open.push(...(imports.get(file) ?? []));
  }
  return seen;
}
