/** Entries of a chunk: 4 MB of float32, which a second-level cache nearly holds. */
const CHUNK_ENTRIES = 2 ** 20;

/** Milliseconds of work after which timers and the page get their turn. */
const PATIENCE = 40;

/**
 * Rows per chunk if the caller does not say; never a multiple of 256, at which the columns of a
 * transposed chunk evict each other from the cache.
 */
export function defaultChunkRows(columns: number): number {
  return 256 * Math.max(1, Math.round(CHUNK_ENTRIES / columns / 256)) + 8;
}

/**
 * `rows` in pieces of `size`; `from` is where each begins. Between pieces the event loop gets its turn
 * wherever the last one is long ago.
 */
export async function* chunks(
  rows: Int32Array,
  size: number,
): AsyncGenerator<{ readonly rows: Int32Array; readonly from: number }> {
  let yielded = performance.now();
  for (let from = 0; from < rows.length; from += size) {
    if (performance.now() - yielded > PATIENCE) {
      await new Promise((resolve) => setTimeout(resolve));
      yielded = performance.now();
    }
    yield { rows: rows.subarray(from, from + size), from };
  }
}
