import type { KeyedRng } from '@espalier/core';
import type { Sample } from './reader.js';

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];

/** Bytes changed, made extreme, cut out, doubled, moved or put in, at one place. */
function damageOnce(bytes: Buffer, draw: KeyedRng): Buffer {
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

function damageBytes(given: Uint8Array, draw: KeyedRng): Uint8Array {
  let bytes: Buffer = Buffer.from(given);
  for (let times = 1 + Math.floor(draw() * 3); times > 0 && bytes.length > 0; times--) {
    bytes = damageOnce(bytes, draw);
  }
  return bytes;
}

/** Damages the bytes of one of a sample's files. */
export function damageFiles(sample: Sample, draw: KeyedRng): Sample {
  const names = Object.keys(sample.files);
  const chosen = names[Math.floor(draw() * names.length)]!;
  return replaceFile(sample, chosen, damageBytes(sample.files[chosen]!, draw));
}

/** The sample with another content of a file. */
export function replaceFile(sample: Sample, name: string, bytes: Uint8Array): Sample {
  return { ...sample, files: { ...sample.files, [name]: bytes } };
}

type Json = Record<string, unknown>;

const ODD: readonly unknown[] = [
  ...[null, true, -1, 0, 1, 0.5, 2 ** 31, 1e300, '', '..', 'Dense', 'LSTM', 'InputLayer'],
  ...['toString', '__proto__', 'x'.repeat(3000), '\u001b[31m', '\ud800', [], {}],
];

/** A copy of JSON in which one to three parts are odd values, are missing, stand twice or elsewhere. */
export function damageJson(value: unknown, draw: KeyedRng): unknown {
  const root = { value: structuredClone(value) };
  for (let times = 1 + Math.floor(draw() * 3); times > 0; times--) damagePart(root, draw);
  return root.value;
}

function damagePart(root: Json, draw: KeyedRng): void {
  const below = (n: number) => Math.floor(draw() * n);
  const { parent, key } = walkDown(root, below);
  const change = below(6);
  const part = parent[key];
  if (change === 0 && parent !== root) delete parent[key];
  else if (change === 1 && Array.isArray(parent)) parent.push(structuredClone(part));
  else if (change === 2) {
    const other = walkDown(root, below);
    parent[key] = structuredClone(other.parent[other.key]);
  } else parent[key] = drawOdd(below);
}

/** A part of JSON that is reached by choices at random; most are deep inside. */
function walkDown(root: Json, below: (n: number) => number) {
  let [parent, key] = [root, 'value'];
  for (;;) {
    const child = parent[key];
    const keys = typeof child === 'object' && child !== null ? Object.keys(child) : [];
    if (keys.length === 0 || (parent !== root && below(5) === 0)) return { parent, key };
    [parent, key] = [child as Json, keys[below(keys.length)]!];
  }
}

function drawOdd(below: (n: number) => number): unknown {
  const choice = below(ODD.length + 1);
  return choice === ODD.length ? nest(below(2000)) : structuredClone(ODD[choice]);
}

function nest(levels: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}
