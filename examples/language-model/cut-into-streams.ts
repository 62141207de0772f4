/** A text as word ids, cut into streams that are read side by side. */
export interface Streams {
  /** Number of streams: the batch. */
  readonly streams: number;
  /** Words of each; what does not fill all streams is dropped. */
  readonly length: number;
  /** Ids `[streams, count]` from position `from` of each stream, row by row. */
  window(from: number, count: number): Int32Array;
}

/** Cuts a text of word ids into equal streams. */
export function cutIntoStreams(ids: Int32Array, streams: number): Streams {
  const length = Math.floor(ids.length / streams);
  return {
    streams,
    length,
    window(from, count) {
      const rows = new Int32Array(streams * count);
      for (let stream = 0; stream < streams; stream++) {
        const start = stream * length + from;
        rows.set(ids.subarray(start, start + count), stream * count);
      }
      return rows;
    },
  };
}
