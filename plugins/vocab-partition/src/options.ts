import { z } from 'zod';

/** Any number: what counts may be is said with the number of the word. */
const count = z.custom<number>((value) => typeof value === 'number', 'must be a number');
type Numbers = Float64Array | Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;
const numbers = z.custom<Numbers>(
  (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
  'must be a typed array',
);

/** The options of `vocabPartition`, as data. */
export const vocabPartitionOptions = z
  .strictObject({
    /**
     * `observe`: counts word ids in the batches of training. Or the count of each word id; or counts
     * by word, with `vocabulary`.
     */
    counts: z
      .union([z.literal('observe'), z.array(count), z.record(z.string(), count), numbers])
      .default('observe'),
    /** The word of each id, where counts come by word. */
    vocabulary: z.array(z.string()).min(1).optional(),
    /** The model's input that holds word ids, to observe; default: the one that feeds an embedding. */
    input: z.string().optional(),
    /** How the words, in falling frequency, are cut into blocks. */
    method: z.enum(['equal-size', 'equal-mass', 'k-means', 'cut-offs']).default('equal-size'),
    /** How many blocks; `auto`: the budget chooses from 1 to 20. Not for `cut-offs`. */
    blocks: z.union([z.int().positive(), z.literal('auto')]).default(5),
    /** For `cut-offs`: how many of the most frequent words lie before each cut. */
    cutoffs: z.array(z.int().positive()).min(1).optional(),
    /** Whether words move to blocks that reconstruct them better, and when that stops. */
    refine: z
      .union([
        z.boolean(),
        z.strictObject({
          /** Stops when fewer words lie better elsewhere. */
          minCandidates: z.int().positive().default(5),
          /** The part of them that moves in a round. */
          fraction: z.number().gt(0).max(1).default(0.1),
          maxRounds: z.int().positive().default(20),
        }),
      ])
      .default(true),
  })
  .refine(({ method, cutoffs }) => (method === 'cut-offs') === (cutoffs !== undefined), {
    path: ['cutoffs'],
    error: "goes with method: 'cut-offs', and that with it",
  })
  .refine(({ counts, input }) => counts === 'observe' || input === undefined, {
    path: ['input'],
    error: "goes with counts: 'observe'",
  })
  .refine(({ counts, vocabulary }) => byWord(counts) === (vocabulary !== undefined), {
    path: ['vocabulary'],
    error: 'goes with counts by word, and those with it: the word of each id',
  });

/** Options of `vocabPartition`. */
export type VocabPartitionOptions = z.input<typeof vocabPartitionOptions>;
export type ParsedOptions = z.output<typeof vocabPartitionOptions>;

/** Whether counts are given by word and not by word id. */
export function byWord(counts: unknown): counts is Readonly<Record<string, number>> {
  return (
    typeof counts === 'object' &&
    counts !== null &&
    !Array.isArray(counts) &&
    !ArrayBuffer.isView(counts)
  );
}
