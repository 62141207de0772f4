import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { run, say } from './run.mjs';

const id = '@tensorflow/tfjs-node-gpu';
const version = '4.22.0';

function manifestOf(root, name) {
  const require = createRequire(path.join(root, 'package.json'));
  try {
    const file = require.resolve(`${name}/package.json`);
    return { folder: path.dirname(file), ...require(file) };
  } catch {
    return undefined;
  }
}

/** Every folder of `node_modules` that holds a package, with scopes opened. */
function packagesIn(modules) {
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@')
        ? readdirSync(path.join(modules, name)).map((sub) => `${name}/${sub}`)
        : name,
    );
}

/** Packages of tfjs that the project has must not come a second time: copies are strangers. */
function copyDependencies(root, from, to) {
  for (const name of packagesIn(from)) {
    const shared = name.startsWith('@tensorflow/') && manifestOf(root, name);
    if (name !== id && !shared) {
      cpSync(path.join(from, name), path.join(to, name), { recursive: true });
    }
  }
}

/**
 * Puts the package beside the project's others without `npm install`, which would run its download,
 * prune the folder and rewrite the lock file.
 */
function place(root) {
  say(`fetching ${id}@${version}`);
  const modules = path.join(root, 'node_modules');
  mkdirSync(modules, { recursive: true });
  const work = mkdtempSync(path.join(modules, '.espalier-native-'));
  try {
    writeFileSync(path.join(work, 'package.json'), '{"private":true}');
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', work];
    run('npm', ['install', ...flags, `${id}@${version}`], { cwd: work });
    const fetched = path.join(work, 'node_modules');
    copyDependencies(root, fetched, path.join(fetched, id, 'node_modules'));
    const folder = path.join(modules, id);
    mkdirSync(path.dirname(folder), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(path.join(fetched, id), folder);
    return folder;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The folder of the installed package, which is fetched where it is not installed. */
export function placePackage(root) {
  const core = manifestOf(root, '@tensorflow/tfjs-core');
  if (core?.version !== version) {
    throw new Error(
      `${root} has ${core ? `@tensorflow/tfjs-core ${core.version}` : 'no @tensorflow/tfjs-core'}, and ` +
        `${id} needs ${version}: run this in your project, after npm install @tensorflow/tfjs-core@${version}.`,
    );
  }
  const present = manifestOf(root, id);
  return present?.version === version ? present.folder : place(root);
}
