import { join } from 'node:path';
import { loadConfig } from '@espalier/config';
import type { KeyedRng } from '@espalier/core';
import { damageFiles, damageJson, replaceFile } from '../damage.js';
import type { Reader, Sample } from '../reader.js';
import { json, parse, text } from './text.js';

const FILE = 'run.json';
const sample = (name: string, bytes: Uint8Array): Sample => ({
  name,
  files: { [FILE]: bytes },
  open: FILE,
});

/** Half of them stay JSON. */
export function damageJsonOrBytes(file: string) {
  return async (given: Sample, draw: KeyedRng): Promise<Sample> => {
    if (draw() < 0.5) return damageFiles(given, draw);
    return replaceFile(given, file, json(damageJson(parse(given.files[file]!), draw)));
  };
}

export const configurations: Reader = {
  name: 'configurations',
  samples: [
    sample(
      'a run',
      json({
        model: './model.js#model',
        data: {
          train: { use: './data.js#train', options: { size: 3 } },
          validation: './data.js#v',
        },
        preset: { extends: '@espalier/preset-baselines#byot', plugins: { ema: { use: 'a#b' } } },
        plugins: { ema: { options: { decay: 0.9 }, bind: { t: { use: 'c#d' } } }, other: false },
        loss: 'cross-entropy',
        optimizer: { use: 'sgd', options: { learningRate: 0.5 }, clip: { norm: 1 } },
        stages: [{ epochs: 1 }, { transform: ['a'] }, { transform: true }],
        checkpoint: { dir: 'runs/a', keep: 3 },
        backend: { prefer: ['wasm'], threads: 2 },
        log: { interval: 3, jsonl: 'a.jsonl' },
      }),
    ),
  ],
  found: [
    sample('a wrong token behind much', text(`{"a": [${'1,'.repeat(20_000)} x]}`)),
    sample('a byte order mark', text('\uFEFF{}')),
    sample('nested without end', text('{"model":'.repeat(20_000))),
    sample('nested deep', text(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)),
  ],
  damage: damageJsonOrBytes(FILE),
  read: async (folder) => void (await loadConfig(join(folder, FILE))),
};
