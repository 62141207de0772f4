/** The files of CIFAR-10 and CIFAR-100, binary version, and what may be wrong with them. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '@espalier/core';

/** Height and width of an image; a record is label bytes, then its red, green and blue plane. */
export const SIDE = 32;
export const CHANNELS = 3;
const PIXELS = CHANNELS * SIDE * SIDE;

type Classes = 10 | 100;

/** One of the two data sets. */
export interface Kind {
  readonly classes: Classes;
  /** For each label of a record, how many values it has; the last one is the class. */
  readonly labels: readonly number[];
  readonly train: readonly string[];
  readonly test: readonly string[];
  /** Mean and standard deviation of each channel in its training images, which are in 0…1. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** Told apart by the names of their files. */
const KINDS: readonly Kind[] = [
  {
    classes: 10,
    labels: [10],
    train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    test: ['test_batch.bin'],
    mean: [0.4914, 0.4822, 0.4465],
    deviation: [0.247, 0.2435, 0.2616],
  },
  {
    classes: 100,
    labels: [20, 100],
    train: ['train.bin'],
    test: ['test.bin'],
    mean: [0.5071, 0.4866, 0.4409],
    deviation: [0.2673, 0.2564, 0.2762],
  },
];

/** Images as their files hold them. */
export interface Records {
  readonly kind: Kind;
  readonly labels: Uint8Array;
  /** Red, green and blue plane of each image. */
  readonly planes: readonly Uint8Array[];
}

/**
 * Reads all images of a split.
 *
 * @param classes Which of the two data sets it must be; default: the one that the folder has.
 * @throws EspalierError `cifar/missing`, `cifar/kind`, `cifar/format`.
 */
export function readRecords(
  dir: string | undefined,
  split: 'train' | 'test',
  classes?: Classes,
): Records {
  if (!dir)
    throw missing('neither the option dir nor the environment variable DATA names a folder');
  const kind = findKind(dir, split, classes);
  const files = kind[split].map((file) => readFile(join(dir, file), kind));
  return {
    kind,
    labels: Uint8Array.from(files.flatMap(({ labels }) => labels)),
    planes: files.flatMap(({ planes }) => planes),
  };
}

function findKind(dir: string, split: 'train' | 'test', classes: Classes | undefined): Kind {
  const there = KINDS.filter((kind) => kind[split].every((file) => existsSync(join(dir, file))));
  const [wanted] = there.filter((kind) => classes === undefined || kind.classes === classes);
  if (wanted) return wanted;
  if (there.length > 0) throw otherKind(dir, there[0]!, classes!);
  throw missing(describeFolder(dir, split, classes));
}

function readFile(path: string, kind: Kind) {
  const bytes = readFileSync(path);
  const record = kind.labels.length + PIXELS;
  if (bytes.length === 0 || bytes.length % record > 0)
    throw damaged(path, describeSize(bytes, kind));
  const count = bytes.length / record;
  const starts = Array.from({ length: count }, (_, i) => i * record);
  for (const [i, start] of starts.entries()) checkLabels(path, kind, i, bytes.subarray(start));
  const pixels = starts.map((start) => start + kind.labels.length);
  return {
    labels: pixels.map((at) => bytes[at - 1]!),
    planes: pixels.map((at) => bytes.subarray(at, at + PIXELS)),
  };
}

function checkLabels(path: string, kind: Kind, image: number, record: Uint8Array): void {
  const wrong = kind.labels.findIndex((values, i) => record[i]! >= values);
  if (wrong < 0) return;
  const name = kind.labels.length === 1 ? 'label' : ['coarse label', 'fine label'][wrong]!;
  const problem = `has the ${name} ${record[wrong]!} at image ${image}; CIFAR-${kind.classes} has ${name}s from 0 to ${kind.labels[wrong]! - 1}`;
  throw damaged(path, problem);
}

function describeSize(bytes: Uint8Array, kind: Kind): string {
  if (bytes.length === 0) return 'is empty';
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'is packed by gzip';
  const sizeOf = ({ labels }: Kind) => labels.length + PIXELS;
  const other = KINDS.find((each) => bytes.length % sizeOf(each) === 0);
  if (other) return `holds images of CIFAR-${other.classes}, not of CIFAR-${kind.classes}`;
  return `has ${bytes.length} bytes, which is no multiple of the ${sizeOf(kind)} bytes of an image: it is cut short or of another kind`;
}

/** What is there instead of the files. */
function describeFolder(
  dir: string,
  split: 'train' | 'test',
  classes: Classes | undefined,
): string {
  const path = resolve(dir);
  if (!existsSync(dir)) return `there is no folder ${path}`;
  if (!statSync(dir).isDirectory()) return `${path} is a file, not a folder`;
  const names = readdirSync(dir);
  const wanted = KINDS.filter((kind) => classes === undefined || kind.classes === classes);
  const files = wanted.map((kind) => `${kind[split].join(', ')} (CIFAR-${kind.classes})`);
  const none = files.length > 1 ? `has neither ${files.join(' nor ')}` : `has no ${files[0]}`;
  const instead = describeInstead(names);
  return `${path} ${none}${instead && `, but ${instead}`}`;
}

function describeInstead(names: readonly string[]): string {
  const archive = names.find((name) => /\.(tar|t?gz|zip)$/.test(name));
  if (archive !== undefined) return `the archive ${archive}, which is not unpacked`;
  const python = names.find((name) => /^(train|test|data_batch_\d|test_batch)$/.test(name));
  if (python !== undefined) return `the file ${python} of the Python version`;
  const folder = names.find((name) => /^cifar-10+-(batches-bin|binary)$/.test(name));
  return folder === undefined ? '' : `the folder ${folder}: give that`;
}

const FIX =
  'Unpack the “binary version (suitable for C programs)” from https://www.cs.toronto.edu/~kriz/cifar.html, and give its folder as dir or in DATA.';

function missing(problem: string): EspalierError {
  return new EspalierError('cifar/missing', { problem, fix: FIX });
}

function otherKind(dir: string, there: Kind, classes: Classes): EspalierError {
  return new EspalierError('cifar/kind', {
    problem: `${resolve(dir)} holds CIFAR-${there.classes}, but CIFAR-${classes} is asked for`,
    fix: `Give the folder of CIFAR-${classes} as dir.`,
  });
}

function damaged(path: string, what: string): EspalierError {
  return new EspalierError('cifar/format', {
    problem: `${path} ${what}`,
    fix: 'Unpack the binary version of CIFAR again.',
  });
}
