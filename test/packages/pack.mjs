// npm run pack -- <folder> [package …]: packs the named packages (default: core, the testkit and the command line)
// and every package of this repository that they need, and installs the tarballs into the project in <folder>.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { publicWorkspaces, root } from './workspaces.mjs';

const [target, ...names] = process.argv.slice(2);
const packages = new Map(publicWorkspaces().map(({ manifest }) => [manifest.name, manifest]));
const wanted = names.length > 0 ? names : ['@espalier/core', '@espalier/testkit', 'espalier'];
const unknown = wanted.find((name) => !packages.has(name));
if (target === undefined || unknown !== undefined) {
  if (unknown !== undefined) console.error(`There is no package '${unknown}'.`);
  console.error('Usage: npm run pack -- <folder> [package …]');
  console.error(`Packages: ${[...packages.keys()].join(', ')}`);
  process.exit(1);
}

const folder = resolve(process.env.INIT_CWD ?? '.', target);
const packed = join(folder, 'packed');
mkdirSync(packed, { recursive: true });
const needed = [...findNeeded(wanted)];
const tarballs = pack(needed);
if (!existsSync(join(folder, 'package.json'))) {
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
}
const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
run('npm', ['install', ...options, ...tarballs, ...findCompanions(needed)], folder);
console.log(`Installed in ${folder}: ${needed.join(', ')}`);

/** The packages and every other one of this repository that they need, peers too. */
function findNeeded(wantedNames, found = new Set()) {
  for (const name of wantedNames.filter((each) => packages.has(each) && !found.has(each))) {
    const { dependencies, peerDependencies } = packages.get(name);
    found.add(name);
    findNeeded(Object.keys({ ...dependencies, ...peerDependencies }), found);
  }
  return found;
}

/** What a project imports beside our packages: their peers that are not optional, and zod for options. */
function findCompanions(ourNames) {
  const { dependencies } = packages.get('@espalier/core');
  const peers = ourNames.flatMap((name) => {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = packages.get(name);
    return Object.entries(peerDependencies).filter(
      ([peer]) => !peerDependenciesMeta[peer]?.optional,
    );
  });
  return [...new Map([...peers, ['zod', dependencies.zod]])]
    .filter(([name]) => !packages.has(name))
    .map(([name, range]) => `${name}@${range}`);
}

/** Writes the tarballs and a list of what is in them; their paths. */
function pack(ourNames) {
  const workspaces = ourNames.map((name) => `--workspace=${name}`);
  const list = run('npm', ['pack', '--json', `--pack-destination=${packed}`, ...workspaces], root);
  writeFileSync(join(packed, 'packed.json'), list);
  return JSON.parse(list).map(({ filename }) => join(packed, filename));
}

function run(program, args, cwd) {
  return execFileSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
