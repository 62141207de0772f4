import type { EditRecord } from '@espalier/core';

/** What one plugin did to one layer: a line of the compression report. */
export interface CompressionEntry {
  /** Name of the layer. */
  readonly layer: string;
  /** What was done, in a few words: `5 blocks, ranks 85 7 3 2 1`. */
  readonly summary: string;
  /** Bytes of the layer's weights, everything counted: maps, scales, codebooks. */
  readonly bytesBefore: number;
  /** The same after the step. */
  readonly bytesAfter: number;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius) over the layer's matrix, against what the step started from. */
  readonly relativeError: number;
  /** What the plugin minimised, relative: weighted by importance. */
  readonly weightedError?: number;
  /** What other sizes of the matrix would cost, where the plugin knows. */
  readonly front?: readonly SizeCost[];
}

/** What a size of a matrix costs, by prediction. */
export interface SizeCost {
  /** Bytes in float32 over bytes. */
  readonly ratio: number;
  readonly bytes: number;
  /** What the plugin minimises, relative: 1 where nothing is stored. */
  readonly error: number;
}

/** A line of the compression report, with the plugin that wrote it. */
export interface CompressionReportLine extends CompressionEntry {
  /** Id of the plugin. */
  readonly plugin: string;
}

/** What a compression plugin hands to `ctx.edit` as the edit's detail. */
export interface CompressionDetail {
  /** One entry for each layer that changed. */
  readonly compression: readonly CompressionEntry[];
}

/**
 * What compression did to the layers of a run: bytes and error by plugin and layer, in order, from the run's
 * edit log.
 *
 * @example
 * for (const { layer, bytesBefore, bytesAfter } of compressionReport(session.inspect().edits)) {
 *   console.log(layer, bytesBefore, bytesAfter);
 * }
 */
export function compressionReport(edits: readonly EditRecord[]): CompressionReportLine[] {
  return edits.flatMap(({ plugin, detail }) => {
    const { compression = [] } = (detail ?? {}) as Partial<CompressionDetail>;
    return compression.map((entry) => ({ plugin, ...entry }));
  });
}
