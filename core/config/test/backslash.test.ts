import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, makeSessionConfig } from '@espalier/config';
import { afterAll, expect, it } from 'vitest';

const root = mkdtempSync(join(tmpdir(), 'espalier-backslash-'));
afterAll(() => rmSync(root, { recursive: true }));

it.runIf(process.platform !== 'win32')(
  'modules in a folder with a backslash in its name are refused by name',
  async () => {
    const folder = join(root, 'a\\b');
    mkdirSync(folder);
    writeFileSync(join(folder, 'parts.js'), 'export const model = () => undefined;');
    const file = join(folder, 'run.json');
    const part = './parts.js#model';
    const config = { model: part, data: { train: part }, optimizer: 'adam', epochs: 1 };
    writeFileSync(file, JSON.stringify({ ...config, loss: 'cross-entropy' }));
    const loading = loadConfig(file).then(makeSessionConfig);
    await expect(loading).rejects.toThrow(`${file} has a backslash in its path`);
  },
);
