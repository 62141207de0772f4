import { EspalierError } from '@espalier/base';
import { arrayTypeOf } from '@espalier/checkpoint';
import type { SafetensorsDtype } from '@espalier/checkpoint';
import { PickledDict } from '../../pickle/unpickle.js';
import type { PickleGlobal } from '../../pickle/unpickle.js';

/** Numbers in a file of the archive. */
export interface PickledStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly bytes: number;
  /** Absent where the tensors say it. */
  readonly dtype: SafetensorsDtype | undefined;
}

/** A tensor as a pickle describes it; offsets and strides count elements. */
export interface PickledTensor {
  readonly kind: 'tensor';
  readonly dtype: SafetensorsDtype;
  readonly storage: PickledStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const STORAGES = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
} as const;

/** Types that have no storage of their own. */
const DTYPES = {
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  float8_e8m0fnu: 'F8_E8M0',
} as const;

type StorageType = { readonly storage: SafetensorsDtype | undefined };
type ElementType = { readonly dtype: SafetensorsDtype };

/** All that a state dict asks for. The functions only describe tensors. */
export const TORCH_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map<string, PickleGlobal>([
  ['collections.OrderedDict', { call: () => new PickledDict() }],
  ['torch._utils._rebuild_tensor_v2', { call: (args) => describeTensor(args) }],
  ['torch._utils._rebuild_tensor_v3', { call: (args) => describeTensor(args, args[6]) }],
  ['torch._utils._rebuild_parameter', { call: ([tensor]) => tensor }],
  ['torch.storage.UntypedStorage', { value: { storage: undefined } }],
  ...Object.entries(STORAGES).map(([name, storage]): [string, PickleGlobal] => [
    `torch.${name}`,
    { value: { storage } },
  ]),
  ...Object.entries(DTYPES).map(([name, dtype]): [string, PickleGlobal] => [
    `torch.${name}`,
    { value: { dtype } },
  ]),
]);

/** What a persistent id stands for: `('storage', type, key, device, elements)`. */
export function loadStorage(id: unknown): PickledStorage {
  const [tag, type, key, , elements] = Array.isArray(id) ? (id as unknown[]) : [];
  const isKnown = tag === 'storage' && isObject(type) && 'storage' in type;
  if (!isKnown || typeof key !== 'string' || !isCount(elements))
    throw invalidTensorError('a storage is not described as PyTorch does it');
  const dtype = (type as StorageType).storage;
  return { kind: 'storage', key, bytes: elements * widthOf(dtype ?? 'U8'), dtype };
}

export function isPickledTensor(value: unknown): value is PickledTensor {
  return isObject(value) && value['kind'] === 'tensor';
}

/** From `(storage, offset, shape, strides, …)`. */
function describeTensor(args: readonly unknown[], type?: unknown): PickledTensor {
  const [storage, offset, shape, strides] = args;
  if (!isStorage(storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides))
    throw invalidTensorError('a tensor is not described as PyTorch does it');
  const dtype = isObject(type) && 'dtype' in type ? (type as ElementType).dtype : storage.dtype;
  if (!dtype || shape.length !== strides.length)
    throw invalidTensorError('a tensor has no type, or other strides than axes');
  return { kind: 'tensor', dtype, storage, offset, shape, strides };
}

function isStorage(value: unknown): value is PickledStorage {
  return isObject(value) && value['kind'] === 'storage';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isCount);
}

function widthOf(dtype: SafetensorsDtype): number {
  return arrayTypeOf(dtype).BYTES_PER_ELEMENT;
}

function invalidTensorError(problem: string): EspalierError {
  return new EspalierError('matrices/pytorch', {
    problem,
    fix: "Save the state dict again: torch.save(model.state_dict(), 'state.pt').",
  });
}
