import { existsSync } from 'node:fs';
import path from 'node:path';
import { run, say, works } from './run.mjs';

// Finds the module without importing it, which would take seconds.
const probe = `
import json, importlib.util, importlib.metadata as meta
spec = importlib.util.find_spec('tensorflow')
names = meta.packages_distributions().get('tensorflow', []) if spec else []
print(json.dumps({'folder': spec.submodule_search_locations[0], 'version': meta.version(names[0])} if names else None))
`;

function look(python) {
  if (!works(python, ['--version'])) return undefined;
  const found = JSON.parse(run(python, ['-c', probe]));
  return found ?? undefined;
}

function makeEnvironment(root, python) {
  if (!works(python, ['--version'])) {
    throw new Error(`${python} does not run. Install Python 3 or name one with --python.`);
  }
  const folder = path.join(root, '.venv');
  say(`making ${folder}`);
  run(python, ['-m', 'venv', folder], {
    hint: 'On Debian and Ubuntu: apt-get install python3-venv.',
  });
}

function installWheel(python, wheel) {
  say(`pip install ${wheel} (some hundred MB)`);
  // Nobody runs most of its Python, which would take minutes to compile.
  run(
    python,
    ['-m', 'pip', 'install', '--quiet', '--no-compile', '--disable-pip-version-check', wheel],
    {
      hint:
        `There may be no wheel of ${wheel} for ${run(python, ['--version']).trim()} on this machine: ` +
        'try another Python with --python, or another wheel with --wheel.',
    },
  );
}

/**
 * The folder and version of an installed TensorFlow; installs one into `.venv` where there is none
 * or a certain wheel is asked for.
 */
export function findTensorFlow(root, { wheel, python }) {
  const ownPython = path.join(root, '.venv', 'bin', 'python');
  const known = wheel
    ? undefined
    : [python, ownPython, 'python3'].filter(Boolean).map(look).find(Boolean);
  if (!known) {
    if (!existsSync(ownPython)) makeEnvironment(root, python ?? 'python3');
    installWheel(ownPython, wheel ?? 'tensorflow_cpu');
  }
  const found = known ?? look(ownPython);
  if (!found) throw new Error(`pip install ${wheel} brought no module named tensorflow.`);
  if (!existsSync(path.join(found.folder, 'include', 'tensorflow', 'c', 'c_api.h'))) {
    throw new Error(
      `The TensorFlow in ${found.folder} has no C headers; install another with --wheel.`,
    );
  }
  say(`TensorFlow ${found.version} in ${found.folder}`);
  return found;
}
