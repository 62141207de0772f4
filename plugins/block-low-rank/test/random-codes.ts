import { keyedRng } from '@espalier/core';
import { findCodebook } from '@espalier/plugin-block-low-rank';
import type { CodedMatrix } from '@espalier/plugin-block-low-rank';
import fc from 'fast-check';

/** What codes of blocks are of, spelled out. */
export interface Spelled {
  readonly columns: number;
  readonly shared: number;
  readonly blocks: readonly SpelledBlock[];
  /** Whether rows are in another order than blocks. */
  readonly mapped: boolean;
  readonly transposed: boolean;
  readonly seed: number;
}

export interface SpelledBlock {
  readonly rows: number;
  /** Of each direction. */
  readonly bits: readonly number[];
  readonly basis: 'own' | 'shared' | 'none';
  readonly lengths?: number | undefined;
}

/** How many directions of so many bits share a code. */
const TOGETHER: Readonly<Record<number, number>> = { 1: 8, 2: 4, 3: 2, 4: 2 };

/** Directions in the order in which they are coded, those in one list that share a code. */
export function listPieces<T extends { readonly bits: number }>(directions: readonly T[]): T[][] {
  const pieces: T[][] = [];
  for (let bits = 10; bits > 0; bits--) {
    const alike = directions.filter((each) => each.bits === bits);
    while (alike.length > 0) pieces.push(alike.splice(0, TOGETHER[bits] ?? 1));
  }
  return pieces;
}

/** Any codes of up to four small blocks. */
export const anyCodes: fc.Arbitrary<Spelled> = fc
  .record({ columns: fc.integer({ min: 1, max: 12 }), few: fc.integer({ min: 0, max: 12 }) })
  .chain(({ columns, few }) => {
    const shared = Math.min(columns, few);
    const block = fc
      .record({
        rows: fc.integer({ min: 1, max: 70 }),
        basis: fc.constantFrom(
          'own' as const,
          'none' as const,
          ...(shared ? ['shared' as const] : []),
        ),
        lengths: fc.option(fc.integer({ min: 2, max: 8 }), { nil: undefined }),
        bits: fc.array(fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 2 })), {
          maxLength: columns,
        }),
      })
      .map((each) => ({
        ...each,
        bits: each.bits.slice(0, each.basis === 'shared' ? shared : columns),
      }));
    return fc.record({
      columns: fc.constant(columns),
      shared: fc.constant(shared),
      blocks: fc.array(block, { minLength: 1, maxLength: 4 }),
      mapped: fc.boolean(),
      transposed: fc.boolean(),
      seed: fc.nat(),
    });
  })
  .map((each) => ({ ...each, mapped: each.mapped && each.blocks.length > 1 }));

/** Codes, and the matrix that they stand for. */
export type KnownCodes = CodedMatrix & { readonly dense: readonly (readonly number[])[] };

/** Random codes, written bit by bit as the README says, and their matrix, summed number by number. */
export function randomCodes(spelled: Spelled): KnownCodes {
  const { columns, shared, blocks, mapped, transposed, seed } = spelled;
  const draw = keyedRng(seed, 'codes');
  const below = (n: number) => Math.floor(draw() * n);
  const basis: number[][] = [];
  const addBasis = (count: number) => {
    const rows = times(count, () => times(columns, (j) => (j ? below(256) - 128 : 1 + below(127))));
    basis.push(...rows);
    return rows.map((row) => row.map((x) => x / Math.hypot(...row)));
  };
  const common = addBasis(shared);
  const unit = times(columns, (k) => times(columns, (j) => Number(j === k)));
  const coded = blocks.map((block) => {
    const { bits, basis: kind } = block;
    const axes = { shared: common, none: unit, own: kind === 'own' ? addBasis(bits.length) : [] }[
      kind
    ];
    return randomBlock(block, axes, columns, draw);
  });
  const owners = coded.flatMap(({ rows }, p) => rows.map(() => p));
  if (mapped) shuffle(owners, below);
  const next = coded.map(({ rows }) => rows.values());
  const dense = owners.map((p) => next[p]!.next().value!);
  const mapBits = Math.ceil(Math.log2(blocks.length));
  const weights = {
    codes: Int32Array.from(coded.flatMap(({ bits }) => [...toWords(bits)])),
    basis: toWords(basis.flat().flatMap((x) => toBits((x + 256) % 256, 8))),
    scales: toWords(coded.flatMap(({ scaleCodes }) => scaleCodes.flatMap((x) => toBits(x, 8)))),
    map: toWords(mapped ? owners.flatMap((p) => toBits(p, mapBits)) : []),
    ranges: Float32Array.from(coded.flatMap(({ ranges }) => ranges)),
  };
  const turned = transposed ? times(columns, (j) => dense.map((row) => row[j]!)) : dense;
  return {
    config: {
      kind: 'block-codes',
      blocks: blocks.map(({ bits, lengths, ...rest }) => ({
        ...rest,
        ...(lengths && { lengths }),
        bits: bits.map((each) => each.toString(16)).join(''),
      })),
      ...(shared > 0 && { shared }),
      ...(mapped && { mapped: true as const }),
      ...(transposed && { transposed: true as const }),
    },
    weights: Object.fromEntries(Object.entries(weights).filter(([, { length }]) => length > 0)),
    rows: turned.length,
    columns: turned[0]!.length,
    dense: turned,
  };
}

/** Bits, scales and rows of a block with these directions. */
function randomBlock(
  { rows, bits, lengths }: SpelledBlock,
  axes: readonly (readonly number[])[],
  columns: number,
  draw: () => number,
) {
  const below = (n: number) => Math.floor(draw() * n);
  const ranges = [-1 + draw(), draw() / 200, -0.5 + draw(), draw() / 2 ** (lengths ?? 0)];
  const [low, step, lowLength, stepLength] = ranges.map(Math.fround) as [
    number,
    number,
    number,
    number,
  ];
  const pieces = listPieces(
    bits.map((each, k) => ({ bits: each, axis: axes[k]!, scaleCode: below(256) })),
  );
  const written: number[] = [];
  const decode = () => {
    const row = times(columns, () => 0);
    const lengthCode = below(2 ** (lengths ?? 0));
    written.push(...toBits(lengthCode, lengths ?? 0));
    const some = lengths && lengthCode && Math.exp(lowLength + stepLength * (lengthCode - 1));
    for (const piece of pieces) {
      const width = piece[0]!.bits * piece.length;
      const code = below(2 ** width);
      written.push(...toBits(code, width));
      const { values } = findCodebook(piece[0]!.bits, piece.length);
      piece.forEach(({ axis, scaleCode }, i) => {
        const value = Math.exp(low + step * scaleCode) * values[code * piece.length + i]!;
        axis.forEach((x, j) => {
          row[j]! += (some ?? 1) * value * x;
        });
      });
    }
    return row;
  };
  const decoded = times(rows, decode);
  return {
    ...{ ranges, bits: written, rows: decoded },
    scaleCodes: pieces.flatMap((piece) => piece.map(({ scaleCode }) => scaleCode)),
  };
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function shuffle(list: number[], below: (n: number) => number): void {
  list.forEach((_, i) => {
    const j = below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  });
}

function toBits(value: number, count: number): number[] {
  return times(count, (i) => Math.floor(value / 2 ** i) % 2);
}

/** Bits, the first in the lowest place of the first word. */
function toWords(bits: readonly number[]): Int32Array {
  const words = new Uint32Array(Math.ceil(bits.length / 32));
  bits.forEach((bit, i) => {
    words[Math.floor(i / 32)]! += bit * 2 ** (i % 32);
  });
  return new Int32Array(words.buffer);
}
