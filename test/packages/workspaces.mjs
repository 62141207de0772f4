// The packages of this repository, for tests and for scripts that run before anything is built.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

export function publicWorkspaces() {
  const { workspaces } = readJson(join(root, 'package.json'));
  return workspaces
    .flatMap(listFolders)
    .map((folder) => ({ folder, manifest: readJson(join(folder, 'package.json')) }))
    .filter(({ manifest }) => !manifest.private);
}

export const hasSources = ({ folder }) => existsSync(join(folder, 'src/index.ts'));

function listFolders(glob) {
  const folder = join(root, glob.replace(/\/\*$/, ''));
  const folders = glob.endsWith('/*')
    ? readdirSync(folder).map((name) => join(folder, name))
    : [folder];
  return folders.filter((path) => existsSync(join(path, 'package.json')));
}
