import type { WordCounts } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import type { Batch } from '@espalier/core';
import type { WordInput } from './word-input.js';

/** Counts word ids of batches as they go by. */
export class ObservedCounts implements WordCounts {
  readonly source = 'training data';
  readonly #input: WordInput;
  #counts = new Map<number, number>();

  constructor(input: WordInput) {
    this.#input = input;
  }

  /**
   * Counts the words of a batch, each by the weight of its example, or of its step.
   *
   * @throws EspalierError `vocab-partition/word-id`.
   */
  async add({ inputs, weights, size }: Batch): Promise<void> {
    const given = await weights?.data<'float32'>();
    for (const name of this.#input.names) {
      const ids = await inputs[name]!.data<'float32'>();
      const weightAt = given ? weigher(given, ids.length, size) : () => 1;
      ids.forEach((id, i) => this.#count(name, id, weightAt(i)));
    }
  }

  #count(name: string, id: number, weight: number): void {
    if (weight === 0) return;
    if (!Number.isInteger(id) || id < 0) throw notAWord(name, id);
    if (id === 0 && this.#input.padded) return;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + weight);
  }

  counts(words: number): Float64Array {
    const counts = new Float64Array(words);
    for (const [id, count] of this.#counts) {
      if (id >= words) throw beyond(id, words);
      counts[id] = count;
    }
    if (counts.some((count) => count > 0)) return counts;
    throw new EspalierError('vocab-partition/nothing-counted', {
      problem: 'no word has been counted yet: words are counted in the batches of training',
      fix: 'Call session.fit first, or give the counts: vocabPartition({ counts: … }).',
    });
  }

  fits(words: number): boolean {
    return [...this.#counts.keys()].every((id) => id < words);
  }

  /** Ids and their counts, as plain JSON. */
  save(): readonly (readonly [id: number, count: number])[] {
    return [...this.#counts];
  }

  load(saved: ReturnType<ObservedCounts['save']>): void {
    this.#counts = new Map(saved);
  }
}

/** The weight of each id: of its step or, where the weights are of other steps, of its example. */
function weigher(weights: Float32Array, ids: number, examples: number) {
  if (weights.length === ids) return (i: number) => weights[i]!;
  const [perExample, steps] = [ids / examples, weights.length / examples];
  const computeMeanWeight = (example: number) =>
    weights.subarray(example * steps, (example + 1) * steps).reduce((a, b) => a + b, 0) / steps;
  const means = Float32Array.from({ length: examples }, (_, i) => computeMeanWeight(i));
  return (i: number) => means[Math.floor(i / perExample)]!;
}

function notAWord(name: string, id: number): EspalierError {
  return new EspalierError('vocab-partition/word-id', {
    problem: `input '${name}' must hold word ids, whole numbers from 0`,
    received: id,
    fix: "Name the input that does: vocabPartition({ input: '…' }), or give the counts.",
  });
}

function beyond(id: number, words: number): EspalierError {
  return new EspalierError('vocab-partition/words', {
    problem: `word id ${id} was counted, and the matrix has ${words} rows`,
    received: id,
    fix: "Compress the matrix whose rows are these words, or name the input that holds its ids: vocabPartition({ input: '…' }).",
  });
}
