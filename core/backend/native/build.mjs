import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { run, say, works } from './run.mjs';

const libraries = {
  'libtensorflow.so': 'libtensorflow_cc.so.2',
  'libtensorflow_cc.so.2': 'libtensorflow_cc.so.2',
  'libtensorflow_framework.so': 'libtensorflow_framework.so.2',
  'libtensorflow_framework.so.2': 'libtensorflow_framework.so.2',
};

/** Makes the wheel look like the libtensorflow archive that the addon is written for. */
function linkTensorFlow(folder, tensorflow) {
  const deps = path.join(folder, 'deps');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(path.join(deps, 'lib'), { recursive: true });
  symlinkSync(path.join(tensorflow.folder, 'include'), path.join(deps, 'include'));
  for (const [link, file] of Object.entries(libraries)) {
    const target = path.join(tensorflow.folder, file);
    if (!existsSync(target))
      throw new Error(`The TensorFlow wheel has no ${file} in ${tensorflow.folder}.`);
    symlinkSync(target, path.join(deps, 'lib', link));
  }
}

/** npm carries node-gyp; a project may, too. */
function nodeGyp(root) {
  const npm =
    process.env.npm_execpath && path.resolve(process.env.npm_execpath, '../../package.json');
  const globalNpm = path.join(run('npm', ['root', '--global']).trim(), 'npm', 'package.json');
  for (const from of [npm, globalNpm, path.join(root, 'package.json')]) {
    try {
      return [process.execPath, createRequire(from).resolve('node-gyp/bin/node-gyp.js')];
    } catch {
      continue;
    }
  }
  return ['npx', '--yes', 'node-gyp@11'];
}

/** The headers beside the running Node; without them node-gyp downloads them from nodejs.org. */
function headers() {
  const prefix = path.resolve(process.execPath, '../..');
  return existsSync(path.join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function requireTools() {
  const missing = [process.env.CXX ?? 'g++', 'make'].filter((tool) => !works(tool, ['--version']));
  if (missing.length > 0) {
    throw new Error(
      `Missing: ${missing.join(', ')}. On Debian and Ubuntu: apt-get install build-essential.`,
    );
  }
}

function compile(root, folder, tensorflow) {
  requireTools();
  const [command, ...gyp] = nodeGyp(root);
  const settings = [
    '--module_name=tfjs_binding',
    `--module_path=${path.join(folder, 'lib/napi-v8')}`,
    '--napi_build_version=8',
    '--napi_version=9',
    '--node_abi_napi=napi',
  ];
  // Loaded by its real path, TensorFlow finds the CUDA libraries that lie beside it in the wheel.
  const env = {
    ...process.env,
    LDFLAGS: `-Wl,-rpath,${tensorflow.folder} ${process.env.LDFLAGS ?? ''}`,
  };
  run(command, [...gyp, 'rebuild', ...settings, ...headers()], {
    cwd: folder,
    env,
    hint: headers().length
      ? ''
      : 'The headers of this Node had to be downloaded: is nodejs.org reachable?',
  });
}

/** Builds the addon, unless it is there and was built against the same TensorFlow. */
export function buildAddon(root, folder, tensorflow, { force }) {
  const stamp = path.join(folder, 'lib', 'built-against.json');
  const wanted = JSON.stringify(tensorflow);
  const present = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (present && !force) return say('the addon is built already');
  say('building the addon');
  linkTensorFlow(folder, tensorflow);
  compile(root, folder, tensorflow);
  writeFileSync(stamp, wanted);
}
