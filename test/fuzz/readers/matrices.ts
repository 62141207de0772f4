import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpy } from '@espalier/formats';
import { openMatrices, readMatrices } from '@espalier/formats/node';
import type { Reader, Sample } from '../reader.js';
import { text } from './text.js';

/** Bytes of tensors for each byte of a file; deflate gives at most 1032. */
const LARGEST_RATIO = 1032;

const golden = (name: string) =>
  readFileSync(new URL(`../../../../core/formats/test/golden/${name}`, import.meta.url));

function listSamples(): readonly Sample[] {
  type Told = Record<string, { files: Record<string, string>; open: string }>;
  const { read } = JSON.parse(golden('files.golden.json').toString()) as { read: Told };
  const data = Float32Array.from({ length: 12 }, (_, i) => i);
  const npy = encodeNpy({ dtype: 'F32', shape: [3, 4], data });
  return [
    { name: 'npy', files: { 'a.npy': npy }, open: 'a.npy' },
    { name: 'safetensors', files: { m: golden('lstm-model-f16.safetensors') }, open: 'm' },
    ...Object.entries(read).map(([name, { files, open }]) => {
      const decoded = Object.entries(files).map(
        ([file, base64]) => [file, Buffer.from(base64, 'base64')] as const,
      );
      return { name, files: Object.fromEntries(decoded), open };
    }),
  ];
}

/** Whole and by rows: equal values, no more than the files can hold. */
async function read(folder: string, { files, open }: Sample): Promise<void> {
  const path = open === '.' ? folder : join(folder, open);
  const whole = await readMatrices(path);
  const file = await openMatrices(path);
  try {
    const room = LARGEST_RATIO * Object.values(files).reduce((sum, { length }) => sum + length, 0);
    for (const [name, tensor] of file.tensors) {
      const { data, shape } = whole.get(name)!;
      const rows = tensor.shape[0] ?? 1;
      const last = (await tensor.readBits(Math.max(0, rows - 1), rows)).data;
      const tail = data.subarray(data.length - last.length);
      const isSound =
        data.length === shape.reduce((size, n) => size * n, 1) &&
        data.byteLength <= room &&
        Buffer.from(bytesOf(last)).equals(bytesOf(tail));
      if (!isSound) throw new Error(`'${name}' is not what its file holds`);
    }
  } finally {
    await file.close();
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

const header = (json: string) => {
  const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(json)]);
  bytes.writeBigUInt64LE(BigInt(json.length));
  return bytes;
};

export const matrices: Reader = {
  name: 'matrices',
  samples: listSamples(),
  found: [
    {
      name: 'metadata that are null',
      files: { m: header('{"__metadata__":null}') },
      open: 'm',
    },
    {
      name: 'a byte order mark in an index',
      files: { 'm.safetensors.index.json': text('\uFEFF{"weight_map":{}}') },
      open: '.',
    },
  ],
  read,
};
