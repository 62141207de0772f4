#!/usr/bin/env node
// `npm run setup:fashion-mnist`: puts the four files of Fashion-MNIST, from the Debian package
// dataset-fashion-mnist, into runs/data/fashion-mnist. Installs nothing on the system; needs no root.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const PACKAGE = 'dataset-fashion-mnist';
const FOLDER = join('runs', 'data', 'fashion-mnist');

/** SHA-256 of the files' contents, unpacked: how they are compressed does not matter. */
const FILES = {
  'train-images-idx3-ubyte.gz': 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
  'train-labels-idx1-ubyte.gz': 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
  't10k-images-idx3-ubyte.gz': '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
  't10k-labels-idx1-ubyte.gz': '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
};

const BY_HAND =
  'By hand: put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and ' +
  `t10k-labels-idx1-ubyte (or the same with .gz) into ${FOLDER}, or name their folder by the option dir.`;

/** Whether a file is there and is the published one. */
function sound(path, hash) {
  if (!existsSync(path)) return false;
  try {
    const content = gunzipSync(readFileSync(path));
    return createHash('sha256').update(content).digest('hex') === hash;
  } catch {
    return false; // cut off or changed: gzip says so first
  }
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') throw new Error(`There is no ${command} here.`);
  return status === 0;
}

function download(cwd) {
  // Without its own user for downloads, which may not write into a folder of root's.
  const get = () => run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', PACKAGE], { cwd });
  const isRoot = process.getuid?.() === 0;
  if (get() || (isRoot && run('apt-get', ['update']) && get())) return;
  const hint = isRoot ? '' : ' If its lists are missing or old: sudo apt-get update.';
  throw new Error(`apt-get could not download ${PACKAGE}.${hint}`);
}

function unpack(cwd) {
  const archive = readdirSync(cwd).find((name) => name.endsWith('.deb'));
  if (!run('dpkg-deb', ['-x', archive, 'files'], { cwd })) {
    throw new Error(`dpkg-deb could not unpack ${archive}.`);
  }
  return join(cwd, 'files', 'usr', 'share', 'datasets', 'fashion-mnist');
}

function fetchFiles() {
  const work = mkdtempSync(join(tmpdir(), 'fashion-mnist-'));
  try {
    download(work);
    const from = unpack(work);
    mkdirSync(FOLDER, { recursive: true });
    for (const [name, hash] of Object.entries(FILES)) {
      copyFileSync(join(from, name), join(FOLDER, name));
      if (!sound(join(FOLDER, name), hash))
        throw new Error(`${name} of ${PACKAGE} is not the published file.`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  const complete = () =>
    Object.entries(FILES).every(([name, hash]) => sound(join(FOLDER, name), hash));
  if (!complete()) fetchFiles();
  console.log(`Fashion-MNIST: ${FOLDER}`);
} catch (error) {
  console.error(`setup-fashion-mnist: ${error.message} ${BY_HAND}`);
  process.exitCode = 1;
}
