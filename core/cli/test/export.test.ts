import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadArtifact, readModelFolder } from '@espalier/formats/node';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtures } from './espalier.js';
import { run } from './in-process.js';

const config = join(fixtures, 'staged.json');
const root = fileURLToPath(new URL('../../..', import.meta.url));

let folder = '';
let into: string[] = [];
const at = (name: string) => join(folder, name);
const exported = (out: string, ...more: string[]) =>
  run('export', config, '--out', at(out), ...into, ...more);
beforeAll(async () => {
  await onBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'espalier-export-'));
  into = ['--set', `checkpoint.dir=${at('run')}`];
  expect((await run('train', config, '--quiet', ...into)).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

async function predictions(model: LayersModel): Promise<number[]> {
  const x = tf.reshape(tf.linspace(-1, 1, 12), [3, 4]);
  const y = model.predict(x) as tf.Tensor;
  const values = [...(await y.data())];
  tf.dispose([x, y]);
  model.dispose();
  return values;
}

/** A process that has TensorFlow.js and nothing else reads a folder and predicts. */
const PLAIN = `
const tf = require('@tensorflow/tfjs-core');
const { loadLayersModel } = require('@tensorflow/tfjs-layers');
require('@tensorflow/tfjs-backend-cpu');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const dir = process.argv[1];
const { modelTopology, weightsManifest: [{ paths: [path], weights }] } = JSON.parse(readFileSync(join(dir, 'model.json')));
const bytes = readFileSync(join(dir, path));
const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
loadLayersModel({ load: async () => ({ modelTopology, weightSpecs: weights, weightData }) }).then(
  (model) => console.log(JSON.stringify([...model.predict(tf.reshape(tf.linspace(-1, 1, 12), [3, 4])).dataSync()])),
  (error) => console.log(JSON.stringify(error.message)),
);`;

function readPlainly(dir: string): unknown {
  const text = execFileSync(process.execPath, ['-e', PLAIN, at(dir)], { cwd: root });
  return JSON.parse(text.toString()) as unknown;
}

describe('espalier export', () => {
  it('writes the transformed model; says what to import for layers that are not plain', async () => {
    const { code, stdout } = await exported('own');
    expect(code).toBe(0);
    expect(stdout).toContain('model.json and its weights');
    expect(stdout).toMatch(/StoredDense.*import '@espalier\/plugin-quantizer';/);
    expect(stdout).toContain('--format dense');
    expect(readPlainly('own')).toMatch(/Unknown layer: StoredDense/);
  });

  it('says of a run in stages that it is not over', async () => {
    expect((await exported('over')).stderr).toBe('');
    const more = '[{"epochs":2},{"transform":["quantizer"]},{"epochs":9}]';
    const { code, stderr } = await exported('begun', '--set', `stages=${more}`);
    expect(code).toBe(0);
    expect(stderr).toBe('The run is not over; it is in stage 3 of 3, 9 epochs.\n');
  });

  it('dense: ordinary layers, which plain TensorFlow.js loads and predicts the same with', async () => {
    const { code, stdout } = await exported('dense', '--format', 'dense');
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).not.toContain('does not know');
    await exported('own-2');
    const [own, dense] = [await readModelFolder(at('own-2')), readPlainly('dense') as number[]];
    expect(own.layers.map((layer) => layer.getClassName())).toContain('StoredDense');
    const expected = await predictions(own);
    expect(dense).toHaveLength(9);
    dense.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 6));
  });

  it('artifact: with edits and plugins; the same again takes its place', async () => {
    const { code } = await exported('artifact', '--format', 'artifact');
    expect(code).toBe(0);
    const { model, manifest } = await loadArtifact(at('artifact'));
    expect(manifest.plugins).toMatchObject([{ id: 'quantizer', layers: ['StoredDense'] }]);
    expect(manifest.edits).toHaveLength(1);
    await exported('own-3');
    expect(await predictions(model)).toEqual(await predictions(await readModelFolder(at('own-3'))));
    expect((await exported('artifact', '--format', 'artifact')).code).toBe(0);
  });

  it('an ordinary model is plain as it is', async () => {
    const plain = [...into, '--set', 'stages=[{"epochs":1}]', '--set', 'plugins.quantizer=false'];
    plain[1] = `checkpoint.dir=${at('plain-run')}`;
    await run('train', config, '--quiet', ...plain);
    const { stdout } = await run('export', config, '--out', at('plain'), ...plain);
    expect(stdout).not.toContain('does not know');
    expect(readPlainly('plain')).toHaveLength(9);
  });

  it('leaves constraints out, which tf.loadLayersModel would apply to what was trained', async () => {
    const model = { use: './parts.ts#model', options: { constrained: true } };
    const more = ['--set', `checkpoint.dir=${at('constrained-run')}`];
    more.push('--set', `model=${JSON.stringify(model)}`, '--set', 'plugins.quantizer=false');
    more.push('--set', 'stages=[{"epochs":1}]');
    expect((await run('train', config, '--quiet', ...more)).code).toBe(0);
    const { stdout } = await run('export', config, '--out', at('constrained'), ...more);
    expect(stdout).toMatch(/Constraints are left out.*: hidden\./);
    await run('export', config, '--out', at('bits'), '--format', 'artifact', ...more);
    const expected = await predictions((await loadArtifact(at('bits'))).model);
    (readPlainly('constrained') as number[]).forEach((value, i) =>
      expect(value).toBeCloseTo(expected[i]!, 6),
    );
  });

  it('without a checkpoint, or into a folder of something else, it writes nothing', async () => {
    const none = await exported('none', '--set', `checkpoint.dir=${at('nowhere')}`);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('there is no checkpoint');
    expect(existsSync(at('none'))).toBe(false);
    const other = await exported('run');
    expect(other.stderr).toContain('contains files that are not');
    await writeFile(at('file'), 'text');
    expect((await exported('file')).stderr).toContain('cannot write to');
    expect(await readFile(at('file'), 'utf8')).toBe('text');
  });
});
