import type { NamedTensors } from '@espalier/base';
import { EspalierError, readJson, sha256Hex, writeJson } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { HostTensor } from './host-tensor.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';

/** A run's whole state: plain data (NaN and infinities survive) and tensors by name. */
export interface Checkpoint {
  /** Plain data: what the run needs besides tensors. NaN and infinities are kept. */
  readonly manifest: unknown;
  /** Tensors on the host, by name. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
}

const FORMAT = 'espalier-checkpoint';
const VERSION = 1;

// Every version begins with these bytes, so that the checksum has a fixed place: it covers all that
// follows it. What comes before is constant, or (the header's length) contradicts the rest if wrong.
const HEAD = '{"__metadata__":{"sha256":"';
const SUM_AT = 8 + HEAD.length;
const SUM_END = SUM_AT + 64;

/**
 * Packs a checkpoint into one safetensors file that any safetensors reader opens, with the manifest
 * and a SHA-256 in its metadata.
 *
 * @throws EspalierError `hash/no-webcrypto` where the platform cannot hash, `json/not-json` on a
 * manifest that is not plain data.
 * @example
 * const bytes = await packCheckpoint({ manifest: { seed: 1 }, tensors: await readTensors({ w }) });
 */
export async function packCheckpoint({ manifest, tensors }: Checkpoint): Promise<Uint8Array> {
  const entries = [...tensors].map(([name, tensor]) => ({ name, ...tensor }));
  const bytes = encodeSafetensors(entries, {
    sha256: '0'.repeat(64),
    format: FORMAT,
    formatVersion: String(VERSION),
    manifest: writeJson(manifest ?? null, 'manifest'),
  });
  const sum = await sha256Hex(bytes.subarray(SUM_END));
  bytes.set(new TextEncoder().encode(sum), SUM_AT);
  return bytes;
}

/**
 * Unpacks and verifies what {@link packCheckpoint} made; `label` names it in errors.
 *
 * @throws EspalierError `checkpoint/damaged` when a single byte is wrong or missing,
 * `checkpoint/newer-format` when a later release wrote it.
 * @example
 * const { manifest, tensors } = await unpackCheckpoint(bytes, 'step-0000000100');
 */
export async function unpackCheckpoint(bytes: Uint8Array, label: string): Promise<Checkpoint> {
  const text = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to));
  if (text(8, SUM_AT) !== HEAD) throw damagedError(label, 'it does not begin as checkpoints do');
  if (text(SUM_AT, SUM_END) !== (await sha256Hex(bytes.subarray(SUM_END)))) {
    throw damagedError(label, 'its SHA-256 does not match, so it was cut short or changed');
  }
  const { tensors, metadata } = readSound(label, () => decodeSafetensors(bytes));
  const version = Number(metadata['formatVersion']);
  if (version > VERSION) {
    throw new EspalierError('checkpoint/newer-format', {
      problem: `${label} has checkpoint format ${version}; this release reads up to ${VERSION}`,
      fix: 'Update to the release that wrote it. The file is untouched.',
    });
  }
  const manifest: unknown = readSound(label, () => readJson(metadata['manifest'] ?? ''));
  return { manifest, tensors };
}

function readSound<T>(label: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw damagedError(label, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function damagedError(label: string, problem: string, cause?: unknown): EspalierError {
  return new EspalierError('checkpoint/damaged', {
    problem: `checkpoint ${label} is damaged: ${problem}`,
    fix: 'Resume from an older one (good ones are kept beside it), or restore it from a copy.',
    cause,
  });
}

const TO_FILE = { float32: 'F32', int32: 'I32', bool: 'BOOL' } as const;
const FROM_FILE = { F32: 'float32', I32: 'int32', BOOL: 'bool' } as const;

/**
 * Reads tensors from the device, without blocking it. The tensors stay the caller's.
 *
 * @throws EspalierError `checkpoint/dtype` on complex64 and string tensors.
 * @example
 * const tensors = await readTensors({ 'dense_1/kernel': kernel });
 */
export async function readTensors(tensors: NamedTensors): Promise<Checkpoint['tensors']> {
  const reads = Object.entries(tensors).map(
    async ([name, tensor]): Promise<[string, HostTensor]> => {
      const dtype = TO_FILE[tensor.dtype as keyof typeof TO_FILE];
      if (!dtype) throw unsupportedDtypeError(`tensor '${name}' is ${tensor.dtype}`);
      return [name, { dtype, shape: tensor.shape, data: await tensor.data() }];
    },
  );
  return new Map(await Promise.all(reads));
}

/**
 * Makes a tensor of what was read; the caller owns it. Its data are copied, so that it does not
 * keep the whole file in memory.
 *
 * @throws EspalierError `checkpoint/dtype` on element types that TensorFlow.js lacks.
 * @example
 * const kernel = toTensor(tensors.get('dense_1/kernel')!);
 */
export function toTensor({ dtype, shape, data }: HostTensor): Tensor {
  const type = FROM_FILE[dtype as keyof typeof FROM_FILE];
  if (!type) throw unsupportedDtypeError(`a tensor of the file is ${dtype}`);
  return tf.tensor(data.slice() as Float32Array | Int32Array | Uint8Array, [...shape], type);
}

function unsupportedDtypeError(problem: string): EspalierError {
  return new EspalierError('checkpoint/dtype', {
    problem,
    fix: 'Checkpoints hold float32, int32 and bool tensors: convert it, or keep it as JSON.',
  });
}
