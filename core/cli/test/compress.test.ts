import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRowDecoder } from '@espalier/compression';
import {
  decodeSafetensors,
  disposeModel,
  encodeSafetensors,
  extractGraph,
  keyedRng,
} from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import { encodeNpy } from '@espalier/formats';
import { loadArtifact, saveArtifact, writeModelFolder } from '@espalier/formats/node';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, build, fixtures } from './espalier.js';
import { run } from './in-process.js';

const [WORDS, SIZE] = [1200, 24];

interface Told {
  readonly bytes: readonly { what: string; before: number; after: number }[];
  readonly totals: Record<'matrices' | 'whole', { before: number; after: number }>;
  readonly fidelity: readonly {
    layer: string;
    error: number;
    weightedError?: number;
    deciles?: { errors: number[]; overlaps: number[] };
  }[];
  readonly deciles: string;
  readonly remarks: readonly string[];
}

let folder = '';
const at = (name: string) => join(folder, name);
let outs = 0;
const fresh = () => at(`out-${outs++}`);

/** Near low rank, as trained matrices are. */
function matrix(rows: number, columns: number, purpose: string): HostTensor {
  const draw = keyedRng(0, 'compress', purpose);
  const basis = Array.from({ length: 4 * columns }, () => draw() - 0.5);
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const factors = [draw(), draw(), draw(), draw()];
    for (let column = 0; column < columns; column++) {
      const low = factors.reduce((sum, f, k) => sum + (f - 0.5) * basis[k * columns + column]!, 0);
      data[row * columns + column] = low + 0.05 * (draw() - 0.5);
    }
  }
  return { dtype: 'F32', shape: [rows, columns], data };
}

const vector = (size: number, purpose: string): HostTensor => {
  const { data } = matrix(1, size, purpose);
  return { dtype: 'F32', shape: [size], data };
};
const state = (tensors: Record<string, HostTensor>) =>
  encodeSafetensors(Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor })));

const language = {
  'embedding.weight': matrix(WORDS, SIZE, 'embedding'),
  'lstm.weight_ih_l0': matrix(4 * SIZE, SIZE, 'ih'),
  'lstm.weight_hh_l0': matrix(4 * SIZE, SIZE, 'hh'),
  'lstm.bias_ih_l0': vector(4 * SIZE, 'bih'),
  'lstm.bias_hh_l0': vector(4 * SIZE, 'bhh'),
  'norm.weight': vector(SIZE, 'norm'),
  'norm.bias': vector(SIZE, 'shift'),
  'softmax.weight': matrix(WORDS, SIZE, 'softmax'),
  'softmax.bias': vector(WORDS, 'bias'),
};

beforeAll(async () => {
  build();
  await onBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'espalier-compress-'));
  const words = matrix(WORDS, SIZE, 'words');
  await writeFile(at('lm.safetensors'), state(language));
  await writeFile(at('words.npy'), encodeNpy(words));
  const counts = Array.from({ length: WORDS }, (_, i) => Math.ceil(9000 / (i + 1)));
  await writeFile(at('counts.json'), JSON.stringify(counts));
});
afterAll(() => rm(folder, { recursive: true }));

const LM = ['--layers', 'embedding,softmax'];
const NPY = ['--layers', 'words'];
const PAPER = ['--preset', 'group-reduce'];

async function told(input: string, ...flags: string[]): Promise<{ told: Told; out: string }> {
  const out = fresh();
  const ended = await run('compress', at(input), '--out', out, '--json', '--quiet', ...flags);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return { told: JSON.parse(ended.stdout) as Told, out };
}

async function refused(input: string, ...flags: string[]): Promise<string> {
  const out = fresh();
  const ended = await run('compress', at(input), '--out', out, '--quiet', ...flags);
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(existsSync(out)).toBe(false);
  return ended.stderr;
}

describe('espalier compress', () => {
  it('writes an artifact that is what its table says, and a page', async () => {
    const flags = [...LM, '--counts', at('counts.json'), '--ratio', '6'];
    const { told: table, out } = await told('lm.safetensors', ...flags);

    const files = await readdir(out);
    const sizes = await Promise.all(
      files
        .filter((name) => name !== 'report.html')
        .map(async (name) => (await stat(join(out, name))).size),
    );
    const onDisk = sizes.reduce((sum, size) => sum + size, 0);
    expect(table.bytes.reduce((sum, { after }) => sum + after, 0)).toBe(onDisk);
    expect(table.totals.whole.after).toBe(onDisk);
    expect(table.totals.matrices.before).toBe(2 * 4 * WORDS * SIZE);
    expect(table.totals.matrices.after).toBeLessThanOrEqual(table.totals.matrices.before / 6);

    const { model } = await loadArtifact(out);
    for (const { layer, error, weightedError, deciles } of table.fidelity) {
      const original = language[`${layer}.weight` as 'softmax.weight'].data as Float32Array;
      const loaded = model.getLayer(layer);
      if (!isRowDecoder(loaded)) throw new Error(`${layer} holds no rows`);
      const decoded = tf.tidy(() => loaded.decodeRows(tf.range(0, WORDS, 1, 'int32')).dataSync());
      const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0);
      const lost = squares(original.map((value, i) => value - decoded[i]!));
      expect(error).toBeCloseTo(Math.sqrt(lost / squares(original)), 5);
      expect(weightedError).toBeLessThan(error);
      expect(deciles?.errors).toHaveLength(10);
      expect(deciles?.errors[0]).toBeLessThan(deciles!.errors[9]!);
    }
    const { weights } = extractGraph(model);
    const recurrent = tf.transpose(weights['lstm/recurrent_kernel'] as tf.Tensor2D).dataSync();
    expect(recurrent).toEqual(language['lstm.weight_hh_l0'].data);
    disposeModel(model);

    const rest = decodeSafetensors(await readFile(join(out, 'rest.safetensors')));
    expect([...rest.tensors.keys()].sort()).toEqual(['norm.bias', 'norm.weight']);
    expect(table.remarks.join()).toMatch(/norm\.weight, norm\.bias/);
    const page = await readFile(join(out, 'report.html'), 'utf8');
    expect(page).toContain('@espalier/plugin-block-low-rank');
    expect(page).toContain('most frequent first');
    expect(page).not.toContain(folder);
  });

  it('tells bytes, errors and how to load the result, as text', async () => {
    const ended = await run('compress', at('words.npy'), '--out', fresh(), ...NPY);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^words +115,200 +[\d,]+ +[89]\.\d\d.× +0\.\d+$/m);
    expect(ended.stdout).toContain('rows are taken in their order');
    expect(ended.stdout).toContain("import '@espalier/plugin-block-low-rank';");
    expect(ended.stdout).toMatch(/Without --counts, rows are taken in the order of their file/);
    expect(ended.stdout).toMatch(/^ *16.× +0\.\d+$/m);
    expect(ended.stderr).toMatch(/^reading …$/m);
    expect(ended.stderr).toMatch(/^ {2}words: rows coded: 1200\/1200, 100 %$/m);
    expect(ended.stderr).toMatch(/^measuring: [\d.]+ s$/m);
  });

  it.each([
    ['--budget', '13000'],
    ['--budget', '13kB', '--objective', 'counts=0.5,neighbours=0.5'],
    ['--budget', '13kB', '--bits', '4', ...PAPER],
    ['--ratio', '9', '--bits', 'none', ...PAPER],
  ])('keeps %s %s', async (...target) => {
    const { told: table } = await told('words.npy', ...NPY, ...target);
    const most = target[0] === '--budget' ? 13_000 : (4 * WORDS * SIZE) / 9;
    expect(table.totals.matrices.after).toBeLessThanOrEqual(most);
    expect(table.totals.matrices.after).toBeGreaterThan(0.7 * most);
  });

  it.each([
    ['group-reduce', ['--bits', '4']],
    ['block-codes', ['--objective', 'uniform']],
  ])('keeps an error, codes included: %s', async (preset, flags) => {
    const own = [...NPY, '--preset', preset, '--max-error', '0.2', ...flags];
    const { told: table } = await told('words.npy', ...own);
    expect(table.fidelity[0]!.error).toBeLessThanOrEqual(0.2);
    expect(table.totals.matrices.after).toBeLessThan(table.totals.matrices.before / 8);
  });

  it('quantizes what it has factorised, from the artifact', async () => {
    const { out } = await told('words.npy', ...NPY, '--preset', 'svd', '--ratio', '3');
    const again = fresh();
    const flags = ['--preset', 'quantize-only', '--json', '--quiet'];
    const ended = await run('compress', out, '--out', again, ...flags);
    const { totals, fidelity } = JSON.parse(ended.stdout) as Told;
    expect(totals.matrices.after).toBeLessThan(0.3 * totals.matrices.before);
    expect(fidelity[0]!.error).toBeLessThan(0.02);
  });

  it('reads the folder of a LayersModel, and replaces an earlier result', async () => {
    const dense = tfl.layers.dense({ units: WORDS, inputShape: [SIZE], name: 'classes' });
    const model = tfl.sequential({ layers: [dense] });
    await writeModelFolder(model, at('folder'));
    disposeModel(model);
    const { out } = await told('lm.safetensors', '--preset', 'quantize-only');
    const flags = ['--preset', 'quantize-only', '--bits', '4', '--json', '--quiet'];
    const ended = await run('compress', at('folder/model.json'), '--out', out, ...flags);
    expect(ended.code).toBe(0);
    const { model: loaded } = await loadArtifact(out);
    expect(loaded.layers.map(({ name }) => name)).toContain('classes');
    disposeModel(loaded);
    expect((await readdir(out)).filter((name) => /^(weights-.*|rest\.)/.test(name))).toHaveLength(
      1,
    );
  });

  it('reads a LayersModel with layers that nobody named, one model in another', async () => {
    tfl.layers.dense({ units: 1 }); // automatic names count on
    const words = tfl.layers.embedding({ inputDim: WORDS, outputDim: SIZE, inputLength: 3 });
    const inner = tfl.sequential({ layers: [words, tfl.layers.flatten()] });
    const model = tfl.sequential({ layers: [inner, tfl.layers.dense({ units: 4 })] });
    await writeModelFolder(model, at('unnamed'));
    disposeModel(model);
    const { told: table } = await told('unnamed', '--preset', 'quantize-only', '--layers', 'emb*');
    expect(table.fidelity.map(({ layer }) => layer)).toEqual(['embedding_1']);
  });

  it.each([
    ['group-reduce', ['--preset', 'group-reduce']],
    ['block-codes', ['--ratio', '6']],
  ])('shares what tied matrices have in common, or refuses to: %s', async (_, flags) => {
    const one = language['embedding.weight'];
    const tied = {
      'embedding.weight': one,
      'softmax.weight': one,
      'softmax.bias': vector(WORDS, 'b'),
    };
    await writeFile(at('tied.safetensors'), state(tied));
    const { told: table } = await told('tied.safetensors', ...LM, ...flags);
    const softmax = table.bytes.find(({ what }) => what === 'softmax');
    expect(softmax).toMatchObject({ after: 4 * WORDS }); // its bias
    expect(await refused('tied.safetensors', ...LM, ...flags, '--tied', 'refuse')).toMatch(
      /they are tied.*--tied share/,
    );
  });
});

/** Runs what a compression says loads its result, in a process of its own. */
function classesLoaded({ stdout }: { readonly stdout: string }): string {
  const program = stdout.slice(stdout.indexOf('import {'));
  const print = 'console.log(model.layers.map((layer) => layer.getClassName()).join());';
  const args = ['--input-type=module', '-e', `${program}\n${print}`];
  const { stdout: printed, stderr } = spawnSync(process.execPath, args, {
    cwd: fixtures,
    encoding: 'utf8',
  });
  return printed.trim().split('\n').at(-1) || stderr;
}

it('carries along what an artifact as input has, and what has to be imported for it', async () => {
  const gru = {
    'rnn.weight_ih_l0': matrix(3 * SIZE, SIZE, 'ih'),
    'rnn.weight_hh_l0': matrix(3 * SIZE, SIZE, 'hh'),
    'embedding.weight': matrix(WORDS, SIZE, 'embedding'),
    'norm.weight': vector(SIZE, 'norm'),
  };
  await writeFile(at('gru.safetensors'), state(gru));
  const flags = ['--preset', 'svd', '--ratio', '3', '--layers', 'embedding', '--quiet'];
  const [first, second] = [fresh(), fresh()];
  const one = await run('compress', at('gru.safetensors'), '--out', first, ...flags);
  expect(classesLoaded(one)).toMatch(/ResetAfterGRU.*BlockLowRankEmbedding/);

  const manifest = join(first, 'manifest.json');
  const codes = ['--preset', 'quantize-only', '--quiet'];
  const two = await run('compress', manifest, '--out', second, ...codes);
  expect(two).toMatchObject({ code: 0 });
  expect(classesLoaded(two)).toMatch(/ResetAfterGRU.*BlockLowRankEmbedding/);
  const rest = decodeSafetensors(await readFile(join(second, 'rest.safetensors')));
  expect(rest.tensors.get('norm.weight')?.data).toEqual(gru['norm.weight'].data);
});

it('prints code that runs nothing of an artifact of others', async () => {
  const uses = [
    "x'; evil(); '#a",
    'data:text/javascript,evil()#b',
    '\u001b[2J#c',
    '/tmp/evil.js#d',
  ];
  const plugins = uses.map((use, i) => ({
    id: `foreign-${i}`,
    version: '1.0.0',
    use,
    layers: [`F${i}`],
  }));
  const embedding = tfl.layers.embedding({ inputDim: 90, outputDim: 60, inputLength: 1 });
  const model = tfl.sequential({ layers: [embedding] });
  const from = fresh();
  await saveArtifact(from, { model, plugins });
  disposeModel(model);
  const file = join(from, 'manifest.json');
  const again = ['--preset', 'quantize-only', '--bits', '8', '--quiet'];
  const { code, stdout, stderr } = await run('compress', file, '--out', fresh(), ...again);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const imports = stdout.split('\n').filter((line) => /^import\b/.test(line));
  expect(imports.join('\n')).not.toMatch(/evil/);
  expect(stdout.match(/^\/\/ The artifact names no package: '.*$/gm)).toHaveLength(4);
  expect(stdout).not.toContain('\u001b');
});

it('names layers as TensorFlow.js takes it, and codes factors of any size where asked to', async () => {
  await writeFile(at('my words.npy'), encodeNpy(matrix(60, 20, 'few')));
  const { told: table } = await told('my words.npy', '--layers', 'my_words', '--ratio', '5');
  expect(table.fidelity.map(({ layer }) => layer)).toEqual(['my_words']);
});

// The limit on the size of files stands for a disk that is full before the weights are written.
it.skipIf(process.platform === 'win32')('a full disk leaves the previous result', async () => {
  const { out } = await told('words.npy', ...NPY, '--ratio', '12');
  const held = async () =>
    Promise.all((await readdir(out)).map(async (name) => [name, await readFile(join(out, name))]));
  const before = await held();
  const args = ['compress', at('words.npy'), '--out', out, '--quiet', ...NPY, '--ratio', '5'];
  const limited = spawnSync(
    'bash',
    ['-c', 'ulimit -f 8; exec "$@"', '', process.execPath, bin, ...args],
    {
      encoding: 'utf8',
    },
  );
  expect(limited).toMatchObject({ status: 1, stdout: '' });
  expect(limited.stderr).toMatch(/cannot keep what is done in .*\.unfinished.*EFBIG/);
  expect(await held()).toEqual(before);
});

it('carries what it cannot read as numbers along, and says so', async () => {
  const bytes = (dtype: 'U8' | 'I8' | 'F8_E4M3', shape: number[]): HostTensor => {
    const data = Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i % 251);
    return { dtype, shape, data: dtype === 'I8' ? new Int8Array(data.buffer) : data };
  };
  const packed = {
    'bits4.weight': bytes('U8', [2048, 1]), // as bitsandbytes writes them
    'bits4.weight.absmax': vector(64, 'absmax'),
    'bits4.weight.quant_map': vector(16, 'map'),
    'bits8.weight': bytes('I8', [64, 64]),
    'bits8.SCB': vector(64, 'scb'),
    'plain8.weight': bytes('I8', [64, 64]),
    'plain8.bias': vector(64, 'bias8'),
    'float8.weight': bytes('F8_E4M3', [64, 64]),
    'gptq.qweight': { dtype: 'I32', shape: [8, 64], data: new Int32Array(512).fill(7) },
    'gptq.scales': matrix(1, 64, 'scales'),
    'h.0.attn.c_proj.weight': matrix(SIZE, SIZE, 'proj'), // Linear or Conv1D: nothing tells
    'h.0.attn.c_proj.bias': vector(SIZE, 'projBias'),
  } as const satisfies Record<string, HostTensor>;
  const words = { 'embedding.weight': language['embedding.weight'] };
  await writeFile(at('packed.safetensors'), state({ ...words, ...packed }));
  const flags = ['--layers', 'embedding', '--ratio', '6'];
  const { told: table, out } = await told('packed.safetensors', ...flags);
  const rest = decodeSafetensors(await readFile(join(out, 'rest.safetensors')));
  expect(Object.fromEntries(rest.tensors)).toEqual(packed);
  expect(table.fidelity.map(({ layer }) => layer)).toEqual(['embedding']);
  expect(table.remarks.join(' ')).toMatch(
    /5 of them hold codes, not numbers \(I8, I32, U8, F8_E4M3\)/,
  );
});

it('takes counts by word id in any order', async () => {
  const counts = JSON.parse(await readFile(at('counts.json'), 'utf8')) as number[];
  const lines = counts.map((count, id) => `${id}\t${count}`).reverse();
  await writeFile(at('by-id.tsv'), lines.join('\n'));
  const flags = [...NPY, '--ratio', '5', '--counts'];
  const [byId, inOrder] = [
    await told('words.npy', ...flags, at('by-id.tsv')),
    await told('words.npy', ...flags, at('counts.json')),
  ];
  expect(byId.told.fidelity).toEqual(inOrder.told.fidelity);
});

describe('bad input of espalier compress', () => {
  it.each(['I8', 'U8', 'I64', 'BOOL'] as const)('a matrix of %s alone', async (dtype) => {
    const made = { I8: Int8Array, U8: Uint8Array, I64: BigInt64Array, BOOL: Uint8Array }[dtype];
    const name = `integers-${dtype}.npy`;
    await writeFile(at(name), encodeNpy({ dtype, shape: [64, 8], data: new made(512) }));
    expect(await refused(name, '--ratio', '4')).toMatch(new RegExp(`holds ${dtype}, not floats`));
  });

  const counts = async (name: string, content: string | Uint8Array) => {
    await writeFile(at(name), content);
    return ['--counts', at(name)];
  };

  it.each([
    ['of another length', JSON.stringify([3, 2, 1]), /3 word counts.*1200 rows.*--layers a,b/s],
    ['that are negative', JSON.stringify([1, -2]), /\[1\] must be a count.*-2/],
    ['that are all zero', JSON.stringify(new Array(WORDS).fill(0)), /all word counts are zero/],
    ['that are not numbers', 'the\t5\nof\tNaN\n', /line 2/],
    ['that are no text of counts', 'once upon a time\n', /line 1/],
    ['of three columns', 'the 50 770\nof 24 300\n', /line 1 .*'the 50 770'/],
    ['by ids of which one is missing', '0 5\n1 4\n3 2\n', /word ids.*0 to 2, each once.*'3'/],
    ['by ids that are fractional', '0 5\n1.5 4\n', /word ids.*0 to 1.*'1\.5'/],
    ['by ids that are negative', '0 5\n-1 4\n', /word ids.*0 to 1.*'-1'/],
    ['in another encoding', Uint8Array.of(97, 32, 49, 10, 0xe9, 32, 50, 10), /line 2 .*UTF-8/],
  ])('counts %s', async (what, content, message) => {
    const flags = await counts(`${what}.txt`, content);
    expect(await refused('words.npy', ...NPY, ...flags)).toMatch(message);
  });

  it('counts that are not there, or blocks without any', async () => {
    const missing = await refused('words.npy', '--counts', at('none.json'));
    expect(missing).toMatch(/cannot read the counts in .*none\.json: ENOENT/);
    expect(await refused('words.npy', ...NPY, ...PAPER, '--blocks', '3')).toContain(
      'Add --counts FILE',
    );
    expect(await refused('words.npy', '--counts', folder)).toMatch(/EISDIR.*A folder stands/);
  });

  it('a budget below the smallest possible: says the smallest, which then is kept', async () => {
    const message = await refused('words.npy', ...NPY, '--budget', '100');
    const smallest = /smallest possible budget is (\d+) bytes/.exec(message)?.[1];
    const { told: table } = await told('words.npy', ...NPY, '--budget', smallest!);
    expect(table.totals.matrices.after).toBeLessThanOrEqual(Number(smallest));
    const ratio = await refused('words.npy', ...NPY, '--ratio', '5000');
    expect(ratio).toMatch(/largest possible ratio is \d+/);
  });

  it('a matrix with NaN', async () => {
    const bad = matrix(WORDS, SIZE, 'bad');
    (bad.data as Float32Array)[5 * SIZE + 7] = NaN;
    await writeFile(at('bad.npy'), encodeNpy(bad));
    const message = await refused('bad.npy', '--layers', 'bad');
    expect(message).toMatch(/bad\.npy: layer 'bad': the matrix is not finite at row 5, column 7/);
  });

  it.each([
    [['--layers', 'lstm'], /'lstm' is neither an Embedding nor a Dense.*embedding, softmax/],
    [['--layers', 'embeding'], /no layer 'embeding'.*Did you mean 'embedding'/],
    [[...PAPER, '--ratio', '4'], /8 bits alone make matrices 4 times smaller.*quantize-only/],
    [
      ['--preset', 'quantize-only', '--ratio', '4'],
      /--ratio sets an option of block-low-rank or prune/,
    ],
    [['--preset', '@nobody/none#a'], /npm install @nobody\/none/],
    [['--preset', 'group-reduse'], /Did you mean 'group-reduce'/],
    [['--preset', '@espalier/preset-group-reduce#svdd'], /Did you mean 'svd'/],
    [['--budget', 'much'], /must be a size.*10MB/],
    [['--bits', '4'], /--bits sets an option of quantizer/],
    [
      ['--preset', 'prune', '--tied', 'split'],
      /--tied sets an option of block-low-rank or block-codes/,
    ],
    [[...PAPER, '--objective', 'uniform'], /--objective sets an option of block-codes/],
    [[], /no embedding.*of 50000 numbers or more\. Name the layers: --layers a,b/],
    [
      ['--preset', 'prune'],
      /no embedding.*of 50000 numbers or more\. Name the layers: --layers a,b/,
    ],
    [['--preset', 'prune', '--max-error', '0.1'], /--max-error sets an option of block-low-rank/],
    [
      ['--preset', 'prune', '--layers', 'softmax', '--bits', '4'],
      /nothing to quantize.*--layers a,b.*--bits none/,
    ],
  ])('%j', async (flags, message) => {
    expect(await refused('lm.safetensors', ...flags)).toMatch(message);
  });

  it.each([
    [['--ratio', '1'], 'above 1'],
    [['--ratio', 'Infinity'], 'above 1'],
    [['--ratio', '4', '--budget', '1MB'], 'cannot be used with'],
    [['--bits', '5'], '8, 4, 3, 2 or none'],
    [['--max-error', '1'], 'between 0 and 1'],
    [['--blocks', '0'], 'whole number'],
    [['--objective', 'speed'], 'counts, importance, neighbours, uniform'],
    [['--objective', 'counts=x'], 'shares of them'],
  ])('exits with 2 on %j', async (flags, message) => {
    const { code, stderr } = await run(
      'compress',
      at('lm.safetensors'),
      '--out',
      fresh(),
      ...flags,
    );
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('files and folders that are no model', async () => {
    await writeFile(at('cut.safetensors'), state(language).subarray(0, 900));
    await writeFile(at('vector.npy'), encodeNpy(vector(9, 'v')));
    await writeFile(
      at('norms.safetensors'),
      state({ 'a.weight': vector(4, 'a'), b: vector(4, 'b') }),
    );
    await mkdir(at('empty'));
    expect(await refused('cut.safetensors')).toMatch(/safetensors\/invalid/);
    expect(await refused('vector.npy')).toMatch(/no embedding.*vector F32 \[9\]/);
    expect(await refused('norms.safetensors')).toMatch(/not one matrix/);
    await writeFile(at('none.npy'), encodeNpy({ ...matrix(0, 8, 'none') }));
    expect(await refused('none.npy')).toMatch(/not one matrix.*none F32 \[0, 8\]/);
    expect(await refused('empty')).toMatch(/neither model\.json nor the manifest\.json/);
    expect(await refused('nowhere')).toMatch(/there is no .*nowhere/);
    expect(await refused('counts.json')).toMatch(/JSON text without a weight_map/);
  });

  it('an output folder that holds something else, or the input', async () => {
    await mkdir(at('mine'));
    await writeFile(at('mine/diary.txt'), 'dear diary');
    const other = await run('compress', at('words.npy'), '--out', at('mine'));
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toMatch(
      /holds files that are not an artifact.*diary\.txt.*Nothing was changed/,
    );
    expect(await readdir(at('mine'))).toEqual(['diary.txt']);
    await symlink(at('mine'), at('link'));
    for (const input of ['mine', 'link', 'mine/diary.txt']) {
      const same = await run('compress', at(input), '--out', at('mine'));
      expect(same.stderr).toMatch(/take the place of the input/);
    }
    const file = await run('compress', at('words.npy'), '--out', at('counts.json'));
    expect(file.stderr).toMatch(/cannot write to .*counts\.json/);
  });
});
