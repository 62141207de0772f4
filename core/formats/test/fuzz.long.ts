import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EspalierError, keyedRng } from '@espalier/base';
import type { KeyedRng } from '@espalier/base';
import { encodeNpy } from '@espalier/formats';
import { openMatrices, readMatrices } from '@espalier/formats/node';
import { expect, test } from 'vitest';
import { useFolder } from './scratch.js';

// `npm run fuzz:formats -- --mutations 20000 --seed 7` sets these.
const MUTATIONS = Number(process.env['ESPALIER_MUTATIONS'] ?? 1000);
const SEED = Number(process.env['ESPALIER_SEED'] ?? 0);
/** Bytes of tensors for each byte of a file; deflate gives at most 1032. */
const LARGEST_RATIO = 1032;

interface Case {
  readonly name: string;
  readonly files: Readonly<Record<string, Buffer>>;
  readonly open: string;
}

const folder = useFolder();
const golden = (name: string) => readFileSync(new URL(`./golden/${name}`, import.meta.url));

function listCases(): readonly Case[] {
  type Told = Record<string, { files: Record<string, string>; open: string }>;
  const { read } = JSON.parse(golden('files.golden.json').toString()) as { read: Told };
  const data = Float32Array.from({ length: 12 }, (_, i) => i);
  const npy = Buffer.from(encodeNpy({ dtype: 'F32', shape: [3, 4], data }));
  return [
    { name: 'npy', files: { 'a.npy': npy }, open: 'a.npy' },
    { name: 'safetensors', files: { m: golden('lstm-model-f16.safetensors') }, open: 'm' },
    ...Object.entries(read).map(([name, { files, open }]) => {
      const decoded = Object.entries(files).map(([file, text]) => [
        file,
        Buffer.from(text, 'base64'),
      ]);
      return { name, files: Object.fromEntries(decoded) as Record<string, Buffer>, open };
    }),
  ];
}

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];

/** One damage: bytes changed, a number made extreme, a part cut out, doubled, moved or put in. */
function damage(bytes: Buffer, draw: KeyedRng): Buffer {
  const below = (n: number) => Math.floor(draw() * n);
  const at = below(bytes.length);
  const size = 1 + below(Math.min(32, bytes.length - at));
  const [head, part, tail] = [
    bytes.subarray(0, at),
    bytes.subarray(at, at + size),
    bytes.subarray(at + size),
  ];
  const random = () => Buffer.from(Array.from({ length: 1 + below(8) }, () => below(256)));
  const extreme = () => Buffer.alloc(size, EXTREMES[below(EXTREMES.length)]);
  const kinds = [
    () => [head, Buffer.of(part[0]! ^ (1 << below(8))), part.subarray(1), tail],
    () => [head, Buffer.of(below(256)), part.subarray(1), tail],
    () => [head, extreme(), tail],
    () => [head, random(), tail],
    () => [head, tail],
    () => [head, part, part, tail],
    () => [head],
    () => [tail, part, head],
    () => [head, random(), part, tail],
  ];
  return Buffer.concat(kinds[below(kinds.length)]!());
}

function damageSome({ files, open, name }: Case, draw: KeyedRng): Case {
  const names = Object.keys(files);
  const chosen = names[Math.floor(draw() * names.length)]!;
  let bytes = files[chosen]!;
  for (let times = 1 + Math.floor(draw() * 3); times > 0 && bytes.length > 0; times--)
    bytes = damage(bytes, draw);
  return { name, open, files: { ...files, [chosen]: bytes } };
}

/** Whole and by rows: equal values, no more than the files can hold; or an error of ours. */
async function readDamaged(dir: string, { files, open }: Case): Promise<'read' | 'refused'> {
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(dir, name), bytes);
  const path = open === '.' ? dir : join(dir, open);
  try {
    const whole = await readMatrices(path);
    const file = await openMatrices(path);
    try {
      const room =
        LARGEST_RATIO * Object.values(files).reduce((sum, { length }) => sum + length, 0);
      for (const [name, tensor] of file.tensors) {
        const { data, shape } = whole.get(name)!;
        expect(data.length).toBe(shape.reduce((size, n) => size * n, 1));
        expect(data.byteLength).toBeLessThanOrEqual(room);
        const rows = tensor.shape[0] ?? 1;
        const last = await tensor.readBits(Math.max(0, rows - 1), rows);
        const tail = data.subarray(data.length - last.data.length);
        expect(Buffer.from(bytesOf(last.data))).toEqual(Buffer.from(bytesOf(tail)));
      }
    } finally {
      await file.close();
    }
    return 'read';
  } catch (error) {
    if (error instanceof EspalierError) return 'refused';
    throw error;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

test(`${MUTATIONS} damaged files are refused by name, or read within their size`, async () => {
  const cases = listCases();
  const outcomes = { read: 0, refused: 0 };
  for (let i = 0; i < MUTATIONS; i++) {
    const draw = keyedRng(SEED, 'fuzz', i);
    const damaged = damageSome(cases[i % cases.length]!, draw);
    const dir = folder.at(`case/${i}`);
    await mkdir(dir, { recursive: true });
    const outcome = await readDamaged(dir, damaged).catch((cause: unknown) => {
      throw new Error(`mutation ${i} of seed ${SEED} (${damaged.name})`, { cause });
    });
    outcomes[outcome] += 1;
    await rm(dir, { recursive: true });
  }
  expect(outcomes.refused).toBeGreaterThan(MUTATIONS / 4);
  expect(outcomes.read).toBeGreaterThan(MUTATIONS / 20);
  await rm(dirname(folder.at('case/0')), { recursive: true });
});
