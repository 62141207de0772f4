import type { EditRecord } from '@espalier/core';

/** What one plugin did to one layer: a line of the account of bytes. */
export interface CompressionEntry {
  readonly layer: string;
  /** What was done, in a few words: `5 blocks, ranks 85 7 3 2 1`. */
  readonly summary: string;
  /** Bytes of the layer's weights, everything counted: maps, scales, codebooks. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** ‖A − Ã‖ / ‖A‖ (Frobenius) over the layer's matrix, against what the step started from. */
  readonly relativeError: number;
  /** What the plugin minimised, relative: weighted by importance. */
  readonly weightedError?: number;
}

/** A line of the account with who wrote it. */
export interface CompressionReportLine extends CompressionEntry {
  readonly plugin: string;
}

/** What a compression plugin hands to `ctx.edit` as the edit's detail. */
export interface CompressionDetail {
  readonly compression: readonly CompressionEntry[];
}

/** The account of bytes of a run, in order, from its edit log (`session.inspect().edits`). */
export function compressionReport(edits: readonly EditRecord[]): CompressionReportLine[] {
  return edits.flatMap(({ plugin, detail }) => {
    const { compression = [] } = (detail ?? {}) as Partial<CompressionDetail>;
    return compression.map((entry) => ({ plugin, ...entry }));
  });
}
