// Lints every package that goes to the registry, as it is built.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['core', 'plugins', 'presets']
  .flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name)))
  .filter((folder) => existsSync(join(folder, 'package.json')));
let found = 0;
const kit = join(root, 'test');
for (const pkgDir of [...folders, kit]) {
  // The folder of the kit holds packages of tests, which are not published with it.
  const pack = pkgDir === kit ? 'npm' : false;
  const pkg = JSON.parse(readFileSync(join(pkgDir, 'package.json'), 'utf8'));
  const { messages } = await publint({ pkgDir, pack, strict: true });
  for (const message of messages) console.error(`${pkg.name}: ${formatMessage(message, pkg)}`);
  found += messages.length;
}
console.log(found === 0 ? 'All packages can be published.' : `${found} findings`);
process.exitCode = found === 0 ? 0 : 1;
