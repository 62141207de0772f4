import { EspalierError, sha256Hex } from '@espalier/core';
import type { NamedTensors, Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { cutIntoStreams } from './cut-into-streams.js';

/** Options of {@link streamSource}. */
export interface StreamSourceOptions {
  /** Word ids of the text. */
  readonly ids: Int32Array;
  /** How many equal streams the text is cut into; the batch size. */
  readonly streams: number;
  /** Words in each window. */
  readonly steps: number;
  /** Width of each state input by name; each batch holds zeros for it. */
  readonly states: Readonly<Record<string, number>>;
}

/**
 * A text as batches for truncated back-propagation through time: windows in order, `tokens` and, one
 * word later, `logits` (the targets), both `[streams, steps]`. What does not fill the streams or the
 * last window is dropped. The order is the same in each epoch.
 *
 * @throws EspalierError `streams/short` for a text that does not fill one window.
 * @example
 * const train = streamSource({ ids, streams: 20, steps: 35, states: { h_1: 200, c_1: 200 } });
 */
export function streamSource({ ids, streams, steps, states }: StreamSourceOptions): Source {
  const text = cutIntoStreams(ids, streams);
  const windows = Math.floor((text.length - 1) / steps);
  if (!(windows >= 1)) {
    throw new EspalierError('streams/short', {
      problem: `${streams} streams with windows of ${steps} words and the word behind need ${streams * (steps + 1)} words`,
      received: ids.length,
      fix: 'Take fewer streams, a shorter window, or a longer text.',
    });
  }
  const wordsFrom = (from: number) =>
    tf.tensor2d(text.window(from, steps), [streams, steps], 'int32');
  return {
    batchesPerEpoch: windows,
    async fingerprint() {
      const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
      return `streams ${streams}×${steps} ${await sha256Hex(bytes)}`;
    },
    async *iterate({ skip }) {
      for (let i = skip; i < windows; i++) {
        yield {
          x: { tokens: wordsFrom(i * steps), ...zeroStates(states, streams) },
          y: { logits: wordsFrom(i * steps + 1) },
        };
      }
    },
  };
}

/** Zeros `[streams, width]` for each state; the caller owns them. */
export function zeroStates(states: StreamSourceOptions['states'], streams: number): NamedTensors {
  return Object.fromEntries(
    Object.entries(states).map(([name, width]) => [name, tf.zeros([streams, width])]),
  );
}
