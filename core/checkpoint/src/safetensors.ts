import { EspalierError } from '@espalier/base';
import { arrayTypeOf, countElements, DTYPES } from './host-tensor.js';
import type { HostTensor, SafetensorsDtype } from './host-tensor.js';
import { readSafetensorsHeader, RESERVED } from './safetensors-header.js';

// Written here because npm has no kept package that writes safetensors.

/** What a safetensors file holds. */
export interface Safetensors {
  /** Tensors by name. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the header of a file says of a tensor. */
export type DescribedTensor = Omit<HostTensor, 'data'> & { readonly name: string };

/**
 * Encodes tensors in the safetensors format: header length, JSON header, data without gaps. Wide
 * types come first, so that every tensor is aligned.
 *
 * @throws EspalierError `safetensors/entry` on a reserved or repeated name, or data that does not
 * fit dtype and shape.
 * @see https://huggingface.co/docs/safetensors
 * @example
 * const w = { name: 'w', dtype: 'F32', shape: [2], data: new Float32Array([1, 2]) } as const;
 * const bytes = encodeSafetensors([w], { author: 'me' });
 */
export function encodeSafetensors(
  entries: readonly (HostTensor & { readonly name: string })[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  entries.forEach(checkData);
  const header = encodeSafetensorsHeader(entries, metadata);
  const sorted = sortByWidth(entries);
  const size = sorted.reduce((sum, { data }) => sum + data.byteLength, header.length);
  const bytes = new Uint8Array(size);
  bytes.set(header);
  let offset = header.length;
  for (const { data } of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * What stands in front of the data in a safetensors file: the length of the header and the header. The data
 * of all tensors follow without gaps, in the order of {@link sortByWidth}.
 *
 * @throws EspalierError `safetensors/entry` on a reserved or repeated name or an unknown dtype.
 * @example
 * const start = encodeSafetensorsHeader([{ name: 'w', dtype: 'F32', shape: [2] }]);
 */
export function encodeSafetensorsHeader(
  entries: readonly DescribedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const names = new Set(RESERVED);
  entries.forEach((entry) => checkEntry(entry, names));
  // Assembled by hand: an object would put names such as '7' in front of the metadata.
  const fields = [`"__metadata__":${JSON.stringify(metadata)}`];
  let offset = 0;
  for (const { name, dtype, shape } of sortByWidth(entries)) {
    const size = countElements(shape) * bytesPerElement(dtype);
    const data_offsets = [offset, (offset += size)];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const bytes = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

/** Tensors in the order of their data in a file: wide types come first, so that all are aligned. */
export function sortByWidth<T extends DescribedTensor>(entries: readonly T[]): readonly T[] {
  return [...entries].sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
}

function checkEntry({ name, dtype }: DescribedTensor, names: Set<string>): void {
  if (names.has(name)) throw entryError(name, 'has a name that is taken or reserved', name);
  if (!DTYPES.includes(dtype)) throw entryError(name, 'has a dtype that the format lacks', dtype);
  names.add(name);
}

function checkData({ name, dtype, shape, data }: HostTensor & { readonly name: string }): void {
  const fits = !DTYPES.includes(dtype) || data instanceof arrayTypeOf(dtype);
  if (fits && data.length === countElements(shape)) return;
  throw entryError(name, `has data that do not fit ${dtype} [${shape.join(', ')}]`, data.length);
}

function entryError(name: string, problem: string, received: unknown): EspalierError {
  return new EspalierError('safetensors/entry', {
    problem: `tensor '${name}' ${problem}`,
    received,
    fix: 'Give each tensor a name of its own, a known dtype, and data of its shape and dtype.',
  });
}

/**
 * Decodes a safetensors file. Tensors are views of `bytes` where alignment allows, else copies.
 * Nothing the header claims is believed or allocated before all of it is checked.
 *
 * @throws EspalierError `safetensors/invalid` on whatever is not exactly such a file,
 * `safetensors/dtype` on elements of 4 or 6 bits.
 * @example
 * const { tensors, metadata } = decodeSafetensors(bytes);
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const { tensors, metadata } = readSafetensorsHeader(bytes, bytes.length);
  const viewed = tensors.map(({ name, dtype, shape, begin, end }): [string, HostTensor] => {
    return [name, { dtype, shape, data: viewTensor(bytes, dtype, begin, end) }];
  });
  return { tensors: new Map(viewed), metadata };
}

function viewTensor(bytes: Uint8Array, dtype: SafetensorsDtype, from: number, to: number) {
  const Data = arrayTypeOf(dtype);
  const [begin, end] = [bytes.byteOffset + from, bytes.byteOffset + to];
  if (begin % bytesPerElement(dtype) !== 0) return new Data(bytes.buffer.slice(begin, end));
  return new Data(bytes.buffer, begin, (end - begin) / bytesPerElement(dtype));
}

function bytesPerElement(dtype: SafetensorsDtype): number {
  return arrayTypeOf(dtype)?.BYTES_PER_ELEMENT;
}
