// `npm run setup:browser`: makes sure that the browser tests have a Chromium to drive.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findChromium } from './find-chromium.mjs';

const canInstall = existsSync('/usr/bin/apt-get') && process.getuid?.() === 0;

function run(command, args) {
  console.log(`$ ${command} ${args.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env });
  if (status !== 0)
    throw new Error(`${command} failed: ${error?.message ?? `exit code ${status}`}`);
}

function install() {
  run('apt-get', ['update']);
  run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium']);
}

try {
  if (!findChromium() && canInstall) install();
  const path = findChromium();
  if (!path) {
    throw new Error(
      'No Chromium found. Install one (Debian, Ubuntu: sudo apt-get install chromium; ' +
        'macOS: brew install --cask google-chrome) and, where it is not on the PATH, ' +
        'set CHROMIUM_PATH to its executable.',
    );
  }
  console.log(`Chromium: ${path}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
