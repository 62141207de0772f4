import type { ArtifactBytes } from '@espalier/formats';
import type { CompressedModel } from './compress-model.js';

/** Bytes of a model and of its compressed version, both saved as artifacts. */
export interface MeasuredBytes {
  readonly before: ArtifactBytes;
  readonly after: ArtifactBytes;
  /** Tensors of the input that are kept unchanged in a file of their own, and the bytes of that file. */
  readonly rest: { readonly tensors: readonly unknown[]; readonly bytes: number };
  readonly compressed: Pick<CompressedModel, 'steps'>;
}

/** One row of the table of bytes. */
export interface BytesRow {
  readonly what: string;
  readonly before: number;
  readonly after: number;
}

/** Every byte of both artifacts: layers, unchanged tensors, words, names and shapes, manifest. */
export function listBytes({ before, after, rest }: MeasuredBytes): BytesRow[] {
  const names = [...before.layers, ...after.layers].map(({ layer }) => layer);
  const bytesIn = ({ layers }: ArtifactBytes, name: string) =>
    layers.find(({ layer }) => layer === name)?.bytes ?? 0;
  const unchanged = `${rest.tensors.length} tensors unchanged`;
  return [
    ...[...new Set(names)].map((name) => ({
      what: name,
      before: bytesIn(before, name),
      after: bytesIn(after, name),
    })),
    ...(rest.bytes > 0 ? [{ what: unchanged, before: rest.bytes, after: rest.bytes }] : []),
    ...(before.words > 0 ? [{ what: 'words', before: before.words, after: after.words }] : []),
    { what: 'names and shapes', before: before.header, after: after.header },
    { what: 'manifest', before: before.manifest, after: after.manifest },
  ];
}

/** Bytes of the compressed matrices, and of everything. */
export function sumBytes(measured: MeasuredBytes): { matrices: BytesRow; whole: BytesRow } {
  const { before, after, rest, compressed } = measured;
  const changed = new Set(compressed.steps.map(({ layer }) => layer));
  const matrices = ({ layers }: ArtifactBytes) =>
    [...changed].reduce((sum, layer) => sum + countMatrixBytes(layers, layer), 0);
  return {
    matrices: { what: 'matrices', before: matrices(before), after: matrices(after) },
    whole: {
      what: 'everything',
      before: before.total + rest.bytes,
      after: after.total + rest.bytes,
    },
  };
}

/** Bytes of a layer's matrix with all that belongs to it, without the bias. */
export function countMatrixBytes(layers: ArtifactBytes['layers'], name: string): number {
  const weights = layers.find(({ layer }) => layer === name)?.weights ?? [];
  return weights
    .filter((weight) => weight.name !== 'bias')
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
