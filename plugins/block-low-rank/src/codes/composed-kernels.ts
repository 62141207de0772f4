import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { pickColumns } from './block-products.js';
import { tableOf } from './codebooks.js';
import type { BlockCodesTensors } from './host-memory.js';
import { RANGES } from './layout.js';
import type { BlockCodesLayout, CodedBlock, CodePiece } from './layout.js';

/**
 * Rows by number as `[n, columns]`, by ops on integers alone: for backends whose memory the host does not
 * reach. A row that there is not gives zeros.
 */
export function decodeByOps(
  parts: BlockCodesTensors,
  ids: Tensor1D,
  layout: BlockCodesLayout,
): Tensor2D {
  return tf.tidy(() => {
    const places = parts.map ? tf.gather(placeByOps(parts.map, layout), ids) : ids;
    const basis = parts.basis && decodeBasis(parts.basis, layout);
    const scales = parts.scales && decodeScales(parts.scales, parts.ranges!, layout);
    const decoded = layout.blocks
      .filter(({ directions }) => directions.length > 0)
      .map((block) => decodeBlock(parts, places, block, { layout, basis, scales: scales! }));
    return decoded.length > 0 ? tf.addN(decoded) : tf.zeros([ids.size, layout.columns]);
  });
}

interface Decoded {
  readonly layout: BlockCodesLayout;
  readonly basis: Tensor2D | undefined;
  readonly scales: Tensor1D;
}

/** Rows of one block at places; zeros where a place is in another block. */
function decodeBlock(
  { codes, ranges }: BlockCodesTensors,
  places: Tensor,
  block: CodedBlock,
  { layout, basis, scales }: Decoded,
): Tensor2D {
  const { begin, rows, directions, pieces, lengths } = block;
  const local = tf.sub(places, int(begin));
  const row = tf.expandDims(tf.maximum(tf.minimum(local, int(rows - 1)), int(0)), 1);
  const inside = tf.cast(tf.equal(tf.expandDims(local, 1), row), 'float32');
  const own = { first: block.word, width: block.width };
  const read = readBits(codes!, row, {
    ...own,
    shifts: pieces.map(({ shift }) => shift),
    bits: pieces.map(({ width }) => width),
  });
  const values = gatherValues(read, pieces);
  const coefficients = tf.mul(values, tf.slice1d(scales, directions[0]!.scale, directions.length));
  const p = layout.blocks.indexOf(block);
  const weight = lengths
    ? tf.mul(inside, decodeLengths(codes!, row, { ...own, bits: lengths }, ranges!, p))
    : inside;
  const targets = Int32Array.from(directions, ({ target }) => target);
  const axes =
    block.basis === 'none'
      ? pickColumns(targets, layout.columns)
      : tf.gather(basis!, tf.tensor1d(targets, 'int32'));
  return tf.matMul(tf.mul<Tensor2D>(coefficients, weight), axes);
}

/** What codes of pieces `[n, pieces]` stand for, direction by direction: `[n, directions]`. */
function gatherValues(codes: Tensor, pieces: readonly CodePiece[]): Tensor {
  const { table, starts } = tableOf(pieces);
  const each = pieces.flatMap(({ count }, piece) =>
    Array.from({ length: count }, (_, j) => ({ piece, count, offset: starts[piece]! + j })),
  );
  const pieceOf = tf.tensor1d(
    each.map(({ piece }) => piece),
    'int32',
  );
  const code = tf.gather(codes, pieceOf, 1);
  const place = tf.add(
    tf.mul(code, row(each.map(({ count }) => count))),
    row(each.map(({ offset }) => offset)),
  );
  return tf.gather(tf.tensor1d(table), place);
}

/** What the codes of a row's length stand for: `[n, 1]`. */
function decodeLengths(
  codes: Tensor,
  rows: Tensor,
  { first, width, bits }: { first: number; width: number; bits: number },
  ranges: Tensor,
  p: number,
): Tensor {
  const code = readBits(codes, rows, { first, width, shifts: [0], bits: [bits] });
  const at = (offset: number) => tf.slice(ranges, [p * RANGES + offset], [1]);
  const steps = tf.cast(tf.sub(code, int(1)), 'float32');
  const some = tf.cast(tf.greater(code, int(0)), 'float32');
  return tf.mul(some, tf.exp(tf.add(at(2), tf.mul(at(3), steps))));
}

/** `[basis rows, columns]`, each of length 1. */
function decodeBasis(words: Tensor, { basisRows, columns }: BlockCodesLayout): Tensor2D {
  const bytes = unpackBytes(words, basisRows * columns);
  const sign = tf.cast(tf.greater(bytes, int(127)), 'int32');
  const signed = tf.cast(tf.sub(bytes, tf.mul(sign, int(256))), 'float32');
  const rows = tf.reshape(signed, [basisRows, columns]) as Tensor2D;
  const lengths = tf.sqrt(tf.sum(tf.square(rows), 1, true));
  return tf.div(rows, tf.maximum(lengths, 1));
}

function decodeScales(words: Tensor, ranges: Tensor, { blocks }: BlockCodesLayout): Tensor1D {
  const owners = blocks.flatMap(({ directions }, p) => directions.map(() => p * RANGES));
  const codes = tf.cast(unpackBytes(words, owners.length), 'float32');
  const at = (offset: number) =>
    tf.gather(
      ranges,
      tf.tensor1d(
        owners.map((owner) => owner + offset),
        'int32',
      ),
    );
  return tf.exp(tf.add<Tensor1D>(at(0), tf.mul(at(1), codes)));
}

/** Bytes from 0 to 255. */
function unpackBytes(words: Tensor, count: number): Tensor1D {
  const numbers = tf.range(0, count, 1, 'int32');
  const read = readBits(words, tf.expandDims(numbers, 1), {
    first: 0,
    width: 8,
    shifts: [0],
    bits: [8],
  });
  return tf.reshape(read, [-1]);
}

/** Position of every row among the blocks. */
function placeByOps(map: Tensor, { rows, blocks, mapBits }: BlockCodesLayout): Tensor1D {
  const all = tf.expandDims(tf.range(0, rows, 1, 'int32'), 1);
  const owners = readBits(map, all, { first: 0, width: mapBits, shifts: [0], bits: [mapBits] });
  const numbers = row(blocks.map((_, p) => p));
  const own = tf.cast(tf.equal(owners, numbers), 'int32');
  const before = tf.add(tf.cumsum(own, 0, true), row(blocks.map(({ begin }) => begin)));
  return tf.cast(tf.sum<Tensor1D>(tf.mul(own, before), 1), 'int32');
}

interface Bits {
  /** First word. */
  readonly first: number;
  /** Bits of a row. */
  readonly width: number;
  readonly shifts: readonly number[];
  readonly bits: readonly number[];
}

/** Codes of rows `[n, 1]`: int32 `[n, shifts.length]`. Dividing an integer floors: it shifts. */
function readBits(words: Tensor, rows: Tensor, { first, width, shifts, bits }: Bits): Tensor {
  const down = tf.floorDiv(rows, int(32));
  const within = tf.add(tf.mul(tf.sub(rows, tf.mul(down, int(32))), int(width)), row(shifts));
  const step = tf.floorDiv(within, int(32));
  const bit = tf.sub(within, tf.mul(step, int(32)));
  const word = tf.add(tf.add(tf.mul(down, int(width)), step), int(first));
  const taken = tf.minimum(row(bits), tf.sub(int(32), bit));
  const low = keepBits(shiftRight(tf.gather(words, word), bit), taken);
  const next = tf.gather(words, tf.minimum(tf.add(word, int(1)), int(words.size - 1)));
  const high = keepBits(next, tf.sub(row(bits), taken));
  return tf.add(low, tf.mul(high, power(taken)));
}

/** In two steps, since 2^31 is no int32. */
function shiftRight(words: Tensor, bits: Tensor): Tensor {
  const half = tf.floorDiv(bits, int(2));
  return tf.floorDiv(tf.floorDiv(words, power(half)), power(tf.sub(bits, half)));
}

function keepBits(words: Tensor, bits: Tensor): Tensor {
  const beyond = power(bits);
  return tf.sub(words, tf.mul(tf.floorDiv(words, beyond), beyond));
}

/** 2 to these powers, from 0 to 16. */
function power(exponents: Tensor): Tensor {
  const powers = Array.from({ length: 17 }, (_, i) => 2 ** i);
  return tf.gather(tf.tensor1d(powers, 'int32'), exponents);
}

function int(value: number): Tensor {
  return tf.scalar(value, 'int32');
}

function row(values: readonly number[]): Tensor2D {
  return tf.tensor2d([...values], [1, values.length], 'int32');
}
