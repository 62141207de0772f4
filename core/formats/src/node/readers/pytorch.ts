import { EspalierError } from '@espalier/base';
import { arrayTypeOf, countElements } from '@espalier/checkpoint';
import { PickledDict, unpickle } from '../../pickle/unpickle.js';
import { measureSpan } from '../../strided.js';
import { byName } from '../files/matrix-file.js';
import type { FileTensor, MatrixContent } from '../files/matrix-file.js';
import { stridedTensor } from '../files/strided-tensor.js';
import type { ZipEntry } from '../files/zip.js';
import { isPickledTensor, loadStorage, TORCH_GLOBALS } from './pytorch-globals.js';
import type { PickledTensor } from './pytorch-globals.js';

const PICKLE = /^(?:[^/]+\/)?data\.pkl$/;
const LARGEST_PICKLE = 2 ** 28;

/** Whether a zip archive is one of `torch.save`. */
export function isPyTorch(entries: readonly ZipEntry[]): boolean {
  return entries.some(({ name }) => PICKLE.test(name));
}

/** The tensors of a state dict that `torch.save` wrote, under their names; one tensor under `name`. */
export async function readPyTorch(
  entries: readonly ZipEntry[],
  name: string,
): Promise<MatrixContent> {
  const pickle = entries.find((entry) => PICKLE.test(entry.name))!;
  const prefix = pickle.name.slice(0, -'data.pkl'.length);
  const files = new Map(entries.map((entry) => [entry.name.slice(prefix.length), entry]));
  if ([...files.keys()].some((file) => file === 'constants.pkl' || file.startsWith('code/')))
    throw scriptError();
  const order = files.get('byteorder');
  const bigEndian = order !== undefined && (await readText(order)) === 'big';
  const content = unpickle(await readAll(pickle), { globals: TORCH_GLOBALS, load: loadStorage });
  const { tensors, others } = findTensors(content, name);
  const found: FileTensor[] = [];
  for (const [path, tensor] of tensors) found.push(await locate(path, tensor, files, bigEndian));
  return { format: 'pytorch', tensors: byName(found), ...(others.length > 0 && { others }) };
}

interface Found {
  readonly tensors: readonly (readonly [string, PickledTensor])[];
  readonly others: readonly string[];
}

/** A checkpoint may hold its state dict under a name, beside other things. */
function findTensors(content: unknown, name: string): Found {
  if (isPickledTensor(content)) return { tensors: [[name, content]], others: [] };
  const own = listTensors(content);
  if (own.tensors.length > 0) return own;
  const inner = [...(content instanceof PickledDict ? content.entries : [])].flatMap(
    ([key, value]) => {
      const { tensors } = listTensors(value);
      return tensors.length > 0 ? [{ key: String(key), tensors }] : [];
    },
  );
  if (inner.length === 1) {
    const [{ key, tensors }] = inner as [(typeof inner)[number]];
    return { tensors, others: own.others.filter((other) => other !== key) };
  }
  throw noStateDictError(inner.map(({ key }) => key));
}

function listTensors(value: unknown): Found {
  if (!(value instanceof PickledDict)) return { tensors: [], others: [] };
  const entries = [...value.entries];
  return {
    tensors: entries.flatMap(([key, each]) =>
      typeof key === 'string' && isPickledTensor(each) ? [[key, each] as const] : [],
    ),
    others: entries.flatMap(([key, each]) => (isPickledTensor(each) ? [] : [String(key)])),
  };
}

async function locate(
  name: string,
  { storage, offset, shape, strides, dtype }: PickledTensor,
  files: ReadonlyMap<string, ZipEntry>,
  bigEndian: boolean,
): Promise<FileTensor> {
  const refuse = (problem: string) => tensorError(name, problem);
  const entry = files.get(`data/${storage.key}`);
  if (!entry) throw refuse(`has its numbers in data/${storage.key}, which the archive lacks`);
  if (entry.size !== storage.bytes)
    throw refuse(`needs ${storage.bytes} bytes in data/${storage.key}, which has ${entry.size}`);
  const room = entry.size / arrayTypeOf(dtype).BYTES_PER_ELEMENT;
  const end = offset + measureSpan(shape, strides);
  if (!(end <= room)) throw refuse(`ends at element ${end} of a storage that has ${room}`);
  if (!(countElements(shape) <= room)) {
    throw refuse('repeats its numbers (torch.expand): save tensor.contiguous()');
  }
  return stridedTensor({
    name,
    dtype,
    shape,
    strides,
    offset,
    source: await entry.open(),
    bigEndian,
  });
}

async function readAll(entry: ZipEntry): Promise<Uint8Array> {
  if (entry.size > LARGEST_PICKLE)
    throw tensorError(
      entry.name,
      `is a pickle of ${entry.size} bytes, more than any state dict needs`,
    );
  const source = await entry.open();
  return source.read(0, source.size);
}

async function readText(entry: ZipEntry): Promise<string> {
  return new TextDecoder().decode(await readAll(entry));
}

function tensorError(name: string, problem: string): EspalierError {
  return new EspalierError('matrices/pytorch', {
    problem: `'${name}' ${problem}`,
    fix: "Save the state dict again: torch.save(model.state_dict(), 'state.pt').",
  });
}

function scriptError(): EspalierError {
  return new EspalierError('matrices/format', {
    problem: 'it is a TorchScript archive, which holds a program',
    fix: "In Python: torch.save(torch.jit.load(path).state_dict(), 'state.pt').",
  });
}

function noStateDictError(keys: readonly string[]): EspalierError {
  const several = keys.length > 1;
  return new EspalierError('matrices/pytorch', {
    problem: several
      ? 'the checkpoint holds several dicts of tensors'
      : 'the file holds no dict of tensors by name',
    ...(several && { received: keys }),
    fix: several
      ? `Save the one that you mean: torch.save(torch.load(path)['${keys[0]!}'], 'state.pt').`
      : "Save a state dict: torch.save(model.state_dict(), 'state.pt').",
  });
}
