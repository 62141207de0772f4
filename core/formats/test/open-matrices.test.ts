import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostTensor } from '@espalier/checkpoint';
import { toFloat32 } from '@espalier/formats';
import { openMatrices, readMatrices } from '@espalier/formats/node';
import { describe, expect, test } from 'vitest';
import { useFolder } from './scratch.js';

interface Golden {
  readonly files: Readonly<Record<string, string>>;
  /** The file that is opened; `.`: the folder. */
  readonly open: string;
  readonly tensors: Readonly<Record<string, { dtype: string; shape: number[]; bytes: string }>>;
  readonly words: string[] | null;
}

const { read, refused } = JSON.parse(
  readFileSync(new URL('./golden/files.golden.json', import.meta.url), 'utf8'),
) as { read: Record<string, Golden>; refused: Record<string, string> };

const folder = useFolder();
const decode = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'));
const encode = ({ data }: HostTensor) =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');

async function lay(name: string, { files, open }: Golden): Promise<string> {
  const dir = folder.at(name);
  await mkdir(dir, { recursive: true });
  for (const [file, base64] of Object.entries(files))
    await writeFile(join(dir, file), decode(base64));
  return open === '.' ? dir : join(dir, open);
}

describe('what NumPy, PyTorch and safetensors wrote', () => {
  test.each(Object.entries(read))('%s: bit for bit, whole and by rows', async (name, golden) => {
    const path = await lay(name, golden);
    const whole = await readMatrices(path);
    const found = [...whole].map(([key, tensor]) => {
      return [key, { dtype: tensor.dtype, shape: [...tensor.shape], bytes: encode(tensor) }];
    });
    expect(Object.fromEntries(found)).toEqual(golden.tensors);

    const file = await openMatrices(path);
    expect(file.words ?? null).toEqual(golden.words);
    for (const [key, tensor] of file.tensors) {
      const rows = tensor.shape[0] ?? 1;
      const [head, tail] = [
        await tensor.readBits(0, Math.floor(rows / 2)),
        await tensor.readBits(Math.floor(rows / 2), rows),
      ];
      const parts = [head, tail].map((part) => Buffer.from(encode(part), 'base64'));
      expect(Buffer.concat(parts).toString('base64')).toBe(golden.tensors[key]!.bytes);
      expect(head.shape.slice(1)).toEqual(tensor.shape.slice(1));
      if (tensor.dtype === 'F8_E4M3') continue;
      expect(await tensor.readRows(0, rows)).toEqual(toFloat32(whole.get(key)!));
    }
    await file.close();
  });

  test.each([
    [
      'whole module',
      'pickle/global',
      /torch\.nn\.modules\.container\.Sequential at byte \d+.*state_dict/,
    ],
    ['legacy PyTorch', 'matrices/format', /before 1\.6.*torch\.save\(torch\.load/],
    ['two state dicts', 'matrices/pytorch', /several dicts.*model.*ema/],
    ['objects in npz', 'npy/dtype', /a\.npy.*not read/],
    ['expanded tensor', 'matrices/pytorch', /'a' repeats its numbers.*contiguous/],
    ['sparse tensor', 'pickle/global', /_rebuild_sparse_tensor/],
  ])('%s: refused, with what to do', async (name, code, message) => {
    const path = await folder.write(name, decode(refused[name]!));
    await expect(openMatrices(path)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });
});

test('names of what is no tensor are told', async () => {
  const file = await openMatrices(await lay('others', read['checkpoint']!));
  expect(file.others).toEqual(['epoch', 'loss', 'log']);
  await file.close();
});

test('rows that are not there are refused', async () => {
  const file = await openMatrices(await lay('rows', read['GloVe text']!));
  const [matrix] = [...file.tensors.values()];
  await expect(matrix!.readRows(5, 7)).rejects.toMatchObject({ code: 'matrices/rows' });
  await expect(matrix!.readRows(2, 1)).rejects.toMatchObject({ code: 'matrices/rows' });
  expect(await matrix!.readRows(6, 6)).toHaveLength(0);
  await file.close();
});
