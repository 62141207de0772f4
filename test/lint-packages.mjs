// Lints every package that goes to the registry, as it is built.
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { publicWorkspaces } from './packages/workspaces.mjs';

let found = 0;
for (const { folder: pkgDir, manifest: pkg } of publicWorkspaces()) {
  // The folder of the kit holds packages of tests, which are not published with it.
  const pack = pkg.name === '@espalier/testkit' ? 'npm' : false;
  const { messages } = await publint({ pkgDir, pack, strict: true });
  for (const message of messages) console.error(`${pkg.name}: ${formatMessage(message, pkg)}`);
  found += messages.length;
}
console.log(found === 0 ? 'All packages can be published.' : `${found} findings`);
process.exitCode = found === 0 ? 0 : 1;
