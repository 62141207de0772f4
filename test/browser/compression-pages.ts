import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackendInfo } from '@espalier/backend';
import { keyedRng } from '@espalier/core';
import { encodeNpy } from '@espalier/formats';
import type { RowResult } from '../../examples/group-reduce/measure-row.js';
import { ablationPage } from '../../examples/group-reduce/page.js';

const cli = fileURLToPath(new URL('../../core/cli/bin/espalier.js', import.meta.url));

/** Compresses word vectors with the command line, which writes `small/report.html`. */
export function compressVectors(folder: string): void {
  const [rows, columns] = [4000, 16];
  const draw = keyedRng('compression-pages');
  const data = Float32Array.from({ length: rows * columns }, () => draw() - 0.5);
  const input = join(folder, 'vectors.npy');
  const out = join(folder, 'small');
  writeFileSync(input, encodeNpy({ dtype: 'F32', data, shape: [rows, columns] }));
  execFileSync(process.execPath, [cli, 'compress', input, '--ratio', '8', '--out', out], {
    stdio: 'ignore',
  });
}

/** Writes the ablation's page with results as rows give them, `ablation.html`. */
export function writeAblation(folder: string): void {
  const names = ['dense', 'SVD', 'blocks', 'weights', 'better importance', '8-bit', '4-bit'];
  const results = [4, 8].flatMap((ratio) => names.map((row, i) => result(row, i, ratio)));
  const options = {
    data: undefined,
    out: folder,
    rows: names,
    ratios: [4, 8],
    blocks: 10,
    retrainWords: 30_000,
    learningRate: 0.001,
    seed: 1,
    threads: 1,
    backend: undefined,
  };
  const backend = { name: 'wasm', line: 'backend wasm' } as BackendInfo;
  const file = join(folder, 'ablation.html');
  writeFileSync(
    file,
    ablationPage(results, results[0]!.after, { options, subject: 'a text', backend }),
  );
}

function result(row: string, i: number, ratio: number): RowResult {
  const deciles = Array.from({ length: 10 }, (_, decile) => 3 + 0.6 * decile + 0.1 * i);
  const perplexities = { validation: 120 + i, test: 115 + i, deciles };
  const errors = deciles.map((nats) => nats / 20);
  const line = {
    plugin: 'block-low-rank',
    summary: '10 blocks',
    bytesBefore: 8e6,
    relativeError: 0.4,
  };
  return {
    row,
    ratio,
    bytes: 16e6 / ratio / (1 + i),
    denseBytes: 16e6,
    artifactBytes: 17e6 / ratio,
    before: { ...perplexities, test: 130 + 10 * i },
    after: perplexities,
    retrained: !row.endsWith('bit'),
    account: ['embedding', 'softmax'].map((layer) => ({ ...line, layer, bytesAfter: 8e6 / ratio })),
    errors: { embedding: errors, softmax: errors },
    seconds: 100,
  };
}
