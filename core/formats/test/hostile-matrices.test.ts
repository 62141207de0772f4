import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { encodeSafetensors } from '@espalier/checkpoint';
import { openMatrices, readMatrices } from '@espalier/formats/node';
import { describe, expect, test } from 'vitest';
import { useFolder } from './scratch.js';

const folder = useFolder();
let files = 0;

async function expectRefusal(content: Uint8Array | string, code: string, message: RegExp) {
  const path = await folder.write(`file-${files++}`, content);
  await expect(readMatrices(path)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
  return path;
}

describe('a text of vectors', () => {
  test.each<[string, string, RegExp]>([
    [
      'a line cut short',
      'a 1 2 3\nb 1 2',
      /line 2 has 2 numbers for 'b' where 3 are expected \(cut short/,
    ],
    ['a number too many', 'a 1 2 3\nb 1 2 3 4', /line 2 has 4 numbers for 'b'/],
    [
      'a word with blanks',
      'a 1 2 3\nnew york 1 2 3',
      /line 2 has a word with blanks in it: 'new york'/,
    ],
    ['a word with blanks first', 'new york 1 2 3\na 1 2 3', /line 1 has a word with blanks/],
    ['NaN', 'a 1 2 3\nb 1 nan 3', /line 2 has 'nan' as number 2 of 'b'.*finite/],
    ['infinity', 'a 1 2 3\nb -inf 0 3', /line 2 has '-inf' as number 1 of 'b'/],
    ['a number beyond float32', 'a 1 2 3\nb 1 1e39 3', /line 2 has '1e39'.*beyond float32/],
    ['no number', 'a 1 2 3\nb 1 0x10 3', /line 2 has '0x10' as number 2/],
    ['a lonely sign', 'a 1 2 3\nb 1 - 3', /line 2 has '-' as number 2/],
    ['a word twice', 'a 1 2 3\nb 1 2 3\na 4 5 6', /line 3 has the word 'a' again, after line 1/],
    ['an empty line', 'a 1 2 3\n\nb 1 2 3', /line 2 is empty/],
    ['a line without a word', 'a 1 2 3\n 1 2 3', /line 2 begins with a blank/],
    [
      'fewer words than claimed',
      '2 2\nabcdefgh 1 2\n',
      /line 3 is the end of the file.*claims 2 words, and it has 1/,
    ],
    ['more words than claimed', '1 2\na 1 2\nb 1 2\n', /claims 1 words, and it has 2/],
    [
      'other columns than claimed',
      '2 3\na 1 2\nbcdefg 1 2\n',
      /line 2 has 2 numbers.*3 are expected/,
    ],
    ['a header beyond the file', '9999999999 300\na 1 2\n', /line 1 claims 9999999999 vectors/],
    ['a header beyond all numbers', `${'9'.repeat(400)} 2\na 1 2\n`, /line 1 claims/],
    ['no columns', '2 0\na\nb\n', /line 1 claims 2 vectors of 0/],
  ])('with %s', async (_what, text, message) => {
    await expectRefusal(text, 'matrices/words', message);
  });

  test('tells line and word to programs, and the file to people', async () => {
    const path = await expectRefusal('a 1 2\nb 1 NaN\n', 'matrices/words', /file-/);
    await expect(openMatrices(path)).rejects.toMatchObject({
      message: expect.stringContaining(path),
      parts: { details: { line: 2, word: 'b' } },
    });
  });

  test('with a word that is not UTF-8', async () => {
    const bytes = Buffer.from('a 1 2\ncaf\xe9 1 2\n', 'latin1');
    await expectRefusal(bytes, 'matrices/words', /line 2 has a word that is not UTF-8/);
  });

  test('is read as it is: byte order mark, tabs, blanks at the end, no last newline', async () => {
    const path = await folder.write('odd.txt', '\ufeffa\t1\t2 \r\nb  -.5 +1e2  ');
    const file = await openMatrices(path);
    expect(file.words).toEqual(['a', 'b']);
    const values = await file.tensors.get('odd')!.readRows(0, 2);
    expect([...values]).toEqual([1, 2, -0.5, 100]);
    await file.close();
  });

  test('tells how far it is', async () => {
    const path = await folder.write('progress.txt', 'a 1 2\nb 3 4\n');
    const told: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => told.push(done, total);
    await (await openMatrices(path, { onProgress })).close();
    expect(told).toEqual([6, 12]);
  });
});

describe('a binary file of word2vec', () => {
  const vector = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
  const binary = (...parts: (string | Buffer)[]) =>
    Buffer.concat(parts.map((part) => Buffer.from(part)));

  test.each<[string, Buffer, RegExp]>([
    [
      'NaN',
      binary('2 2\na ', vector(1, 2), '\nb ', vector(1, NaN), '\n'),
      /vector 2 at byte 15 has NaN as number 2 of 'b'/,
    ],
    [
      'the last vector cut short',
      binary('2 2\na ', vector(1, 2), '\nbbbb ', vector(1)),
      /vector 2 at byte 15 is cut short/,
    ],
    [
      'a word twice',
      binary('2 2\na ', vector(1, 2), '\na ', vector(1, 2)),
      /has the word 'a' again, after vector 1/,
    ],
    ['an empty word', binary('2 2\na ', vector(1, 2), '\n ', vector(1, 2)), /has no word/],
    [
      'more than claimed',
      binary('1 2\na ', vector(1, 2), '\nb ', vector(1, 2)),
      /claims 1 words, and it has 2/,
    ],
    [
      'a header beyond the file',
      binary('3000000 300\na ', vector(1, 2)),
      /claims 3000000 vectors of 300/,
    ],
  ])('with %s', async (_what, bytes, message) => {
    await expectRefusal(bytes, 'matrices/words', message);
  });
});

interface Packed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly claims?: number;
  readonly method?: number;
  readonly flags?: number;
}

/** A zip archive; `claims` is the size that the directory gives in place of the real one. */
function zip(...entries: Packed[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, claims = bytes.length, method = 8, flags = 0 } of entries) {
    const data = method === 8 ? deflateRawSync(bytes) : Buffer.from(bytes);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(crc32(bytes), 16);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(claims, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), data);
    directory.push(entry, Buffer.from(name));
    at += 30 + name.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, listed, end]);
}

describe('a zip archive', () => {
  const bytes = Buffer.from('x'.repeat(50));
  const entry = { name: 'a.npy', bytes };

  test.each<[string, Uint8Array, string, RegExp]>([
    ['of nothing', zip(), 'matrices/format', /neither of numpy\.savez nor of torch\.save/],
    ['of other files', zip({ name: 'glove.txt', bytes }), 'matrices/format', /glove\.txt.*Unpack/],
    ['cut short', zip(entry).subarray(0, 60), 'matrices/zip', /no directory \(cut short/],
    ['that is encrypted', zip({ ...entry, flags: 1 }), 'matrices/zip', /encrypted/],
    ['of another method', zip({ ...entry, method: 9 }), 'matrices/zip', /another method/],
    ['that names a file twice', zip(entry, entry), 'matrices/zip', /names a file twice/],
    [
      'that claims terabytes',
      zip({ ...entry, claims: 0xfffffffe }),
      'matrices/zip',
      /claims more bytes/,
    ],
    [
      'that stores another size',
      zip({ ...entry, method: 0, claims: 9 }),
      'matrices/zip',
      /claims more/,
    ],
    ['with no array', zip(entry), 'npy/invalid', /a\.npy: .*NumPy's mark/],
  ])('%s', async (_what, archive, code, message) => {
    await expectRefusal(archive, code, message);
  });

  test('whose file decompresses to another size or other bytes than it claims', async () => {
    const array = Buffer.concat([npyHeader('(100,)'), Buffer.alloc(100, 1)]);
    const packed = zip({ name: 'a.npy', bytes: array });
    const fewer = zip({ name: 'a.npy', bytes: array.subarray(0, -50), claims: array.length });
    await expectRefusal(fewer, 'matrices/zip', /fewer bytes than it claims/);
    const more = zip({ name: 'a.npy', bytes: Buffer.concat([array, array]), claims: array.length });
    await expectRefusal(more, 'matrices/zip', /more bytes than it claims/);
    const other = Buffer.from(packed);
    other.writeUInt32LE(1, other.indexOf('PK\x01\x02') + 16);
    await expectRefusal(other, 'matrices/zip', /checksum/);
    expect((await readMatrices(await folder.write('sound.npz', packed))).get('a')?.shape).toEqual([
      100,
    ]);
  });

  function npyHeader(shape: string): Buffer {
    const text = `{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }`;
    const start = Buffer.from(`\x93NUMPY\x01\0\0\0${text}`, 'latin1');
    start.writeUInt16LE(text.length, 8);
    return start;
  }
});

describe('a pickle', () => {
  const pickle = (...parts: (string | number[])[]) =>
    zip({
      name: 'x/data.pkl',
      method: 0,
      bytes: Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1'))),
    });

  test.each<[string, Buffer, string, RegExp]>([
    [
      'that runs a program',
      pickle('\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.'),
      'pickle/global',
      /asks for os\.system at byte 2/,
    ],
    ['of a builtin', pickle('\x80\x02cbuiltins\neval\n.'), 'pickle/global', /builtins\.eval/],
    [
      'that asks for __proto__',
      pickle('\x80\x02c__proto__\nx\n.'),
      'pickle/global',
      /__proto__\.x/,
    ],
    ['with NEWOBJ', pickle('\x80\x02)\x81.'), 'pickle/opcode', /opcode NEWOBJ at byte 3/],
    ['with INST', pickle('\x80\x02(ios\nsystem\n.'), 'pickle/opcode', /opcode INST at byte 3/],
    ['with no opcode at all', pickle('\x80\x02\xff.'), 'pickle/opcode', /opcode 0xff at byte 2/],
    ['of protocol 9', pickle('\x80\x09.'), 'pickle/invalid', /protocol 9/],
    ['that is empty', pickle(''), 'pickle/invalid', /cut short at byte 0/],
    ['cut short', pickle('\x80\x02X\xff\xff\xff\x7fab'), 'pickle/invalid', /cut short/],
    [
      'that takes from an empty stack',
      pickle('\x80\x02R.'),
      'pickle/invalid',
      /value is missing at byte 2/,
    ],
    ['that appends to no list', pickle('\x80\x02K\x01K\x02a.'), 'pickle/invalid', /no list/],
    [
      'that reads what was not kept',
      pickle('\x80\x02h\x07.'),
      'pickle/invalid',
      /nothing was kept as 7/,
    ],
    [
      'that leaves values behind',
      pickle('\x80\x02K\x01K\x02.'),
      'pickle/invalid',
      /more than one value/,
    ],
    ['of no dict', pickle('\x80\x02K\x01.'), 'matrices/pytorch', /no dict of tensors/],
    ['that calls a number', pickle('\x80\x02K\x01)R.'), 'pickle/invalid', /calls no function/],
    [
      'whose storage is none',
      pickle('\x80\x02K\x01Q.'),
      'matrices/pytorch',
      /storage is not described/,
    ],
  ])('%s', async (_what, archive, code, message) => {
    await expectRefusal(archive, code, message);
  });

  const storage = (elements: string) =>
    `(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu${elements}tQ`;
  const tensor = (elements: string, offset: string, shape: string, strides: string) =>
    `\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(${storage(elements)}${offset}${shape}${strides}\x89}tRs.`;
  const withData = (text: string) =>
    zip(
      { name: 'x/data.pkl', method: 0, bytes: Buffer.from(text, 'latin1') },
      { name: 'x/data/0', method: 0, bytes: Buffer.alloc(16) },
    );
  const long = '\x8a\x08\0\0\0\0\0\0\0\x40'; // 2^62

  test.each<[string, string, RegExp]>([
    [
      'another size',
      tensor('K\x05', 'K\x00', 'K\x05\x85', 'K\x01\x85'),
      /needs 20 bytes in data\/0, which has 16/,
    ],
    [
      'an end beyond it',
      tensor('K\x04', 'K\x01', 'K\x04\x85', 'K\x01\x85'),
      /ends at element 5 of a storage that has 4/,
    ],
    [
      'strides beyond it',
      tensor('K\x04', 'K\x00', 'K\x02K\x02\x86', 'K\x09K\x01\x86'),
      /ends at element 11/,
    ],
    ['a huge shape', tensor('K\x04', 'K\x00', `${long}\x85`, 'K\x01\x85'), /not described/],
    [
      'a large repeated shape',
      tensor('K\x04', 'K\x00', 'J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86', 'K\x00K\x00\x86'),
      /repeats its numbers/,
    ],
    [
      'negative strides',
      tensor('K\x04', 'K\x00', 'K\x02\x85', 'J\xff\xff\xff\xff\x85'),
      /not described/,
    ],
    [
      'fewer strides than axes',
      tensor('K\x04', 'K\x00', 'K\x02K\x02\x86', 'K\x01\x85'),
      /other strides than axes/,
    ],
  ])('with a tensor in a storage of %s', async (_what, text, message) => {
    await expectRefusal(withData(text), 'matrices/pytorch', message);
  });

  test('with a tensor that fits is read', async () => {
    const text = tensor('K\x04', 'K\x01', 'K\x02\x85', 'K\x02\x85');
    const path = await folder.write('fits.pt', withData(text));
    expect((await readMatrices(path)).get('w')?.shape).toEqual([2]);
  });
});

describe('shards', () => {
  const shard = (name: string) =>
    encodeSafetensors([{ name, dtype: 'F32', shape: [1], data: Float32Array.of(1) }]);
  const lay = async (map: Record<string, string>, held: Record<string, string>) => {
    const dir = folder.at(`shards-${files++}`);
    await mkdir(dir);
    for (const [file, tensor] of Object.entries(held))
      await writeFile(join(dir, file), shard(tensor));
    await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    return dir;
  };

  test('with a byte order mark in their index are read', async () => {
    const dir = await lay({ a: '1.st' }, { '1.st': 'a' });
    await writeFile(join(dir, 'model.safetensors.index.json'), '\uFEFF{"weight_map":{"a":"1.st"}}');
    expect([...(await readMatrices(dir)).keys()]).toEqual(['a']);
  });

  test.each<[string, Record<string, string>, Record<string, string>, RegExp]>([
    [
      'that are missing',
      { a: '1.st', b: '2.st' },
      { '1.st': 'a' },
      /names the shard 2\.st, which is not beside it/,
    ],
    [
      'that lack a tensor',
      { a: '1.st', b: '1.st' },
      { '1.st': 'a' },
      /places 'b' in 1\.st, which lacks it/,
    ],
    ['with another tensor', { a: '1.st' }, { '1.st': 'a', '2.st': 'b' }, /^$/],
    ['outside of the folder', { a: '../1.st' }, {}, /no plain name/],
  ])('%s', async (_what, map, held, message) => {
    const reading = readMatrices(await lay(map, held));
    if (message.source === '^$') expect([...(await reading).keys()]).toEqual(['a']);
    else
      await expect(reading).rejects.toMatchObject({
        code: 'matrices/shard',
        message: expect.stringMatching(message),
      });
  });
});

describe('a folder', () => {
  test.each([
    ['saved_model.pb', /SavedModel/],
    ['x.data-00000-of-00001', /checkpoint of TensorFlow/],
    ['model.json', /readModelFolder/],
    ['diary.txt', /no model\.safetensors/],
  ])('with %s is refused', async (name, message) => {
    const dir = folder.at(`folder-${files++}`);
    await mkdir(dir);
    await writeFile(join(dir, name), '');
    await expect(openMatrices(dir)).rejects.toMatchObject({
      code: 'matrices/format',
      message: expect.stringMatching(message),
    });
  });

  test('whose tokenizer names other words than rows is refused', async () => {
    const dir = folder.at('tokenizer');
    await mkdir(dir);
    const data = new Float32Array(6);
    await writeFile(
      join(dir, 'model.safetensors'),
      encodeSafetensors([{ name: 'embeddings', dtype: 'F32', shape: [3, 2], data }]),
    );
    for (const vocab of [{ a: 0, b: 1 }, { a: 0, b: 1, c: 7 }, undefined]) {
      await writeFile(join(dir, 'tokenizer.json'), JSON.stringify({ model: { vocab } }));
      await expect(openMatrices(dir)).rejects.toMatchObject({ code: 'matrices/tokenizer' });
    }
    const unigram = [
      ['a', -1],
      ['b', -2],
      ['c', -3],
    ];
    await writeFile(join(dir, 'tokenizer.json'), JSON.stringify({ model: { vocab: unigram } }));
    const file = await openMatrices(dir);
    expect(file.words).toEqual(['a', 'b', 'c']);
    await file.close();
  });
});

test('files above 4 GiB, and arrays of which the first index runs fastest, are read by rows', async () => {
  const [rows, columns] = [300_000_000, 16];
  const path = folder.at('large.npy');
  const dict = `{'descr': '|u1', 'fortran_order': True, 'shape': (${rows}, ${columns}), }`;
  const start = Buffer.from(`\x93NUMPY\x01\0\0\0${dict}`, 'latin1');
  start.writeUInt16LE(dict.length, 8);
  const disk = await open(path, 'w'); // a file with holes: it takes no room on the disk
  await disk.write(start, 0, start.length, 0);
  await disk.truncate(start.length + rows * columns);
  for (let column = 0; column < columns; column++) {
    await disk.write(Buffer.of(column, column + 100), 0, 2, start.length + (column + 1) * rows - 2);
  }
  await disk.close();
  const file = await openMatrices(path);
  const matrix = file.tensors.get('large')!;
  const values = [...(await matrix.readRows(rows - 2, rows))];
  await file.close();
  const first = Array.from({ length: columns }, (_, column) => column);
  expect(values).toEqual([...first, ...first.map((column) => column + 100)]);
});
