import type { ArtifactBytes } from '@espalier/formats';
import type { CompressedModel } from './compress-model.js';
import { countMatrixBytes } from './compress-model.js';
import type { LayerFidelity } from './measure.js';

/** All that is to be told of a compression. */
export interface Outcome {
  /** The file's or folder's name. */
  readonly input: string;
  readonly kind: string;
  readonly out: string;
  /** What was asked for, as it was written. */
  readonly command: string;
  /** Bytes of the input on disk. */
  readonly inputBytes: number;
  /** Of the model as it was, saved as an artifact, and of the result. */
  readonly before: ArtifactBytes;
  readonly after: ArtifactBytes;
  /** Of what was carried along unchanged, tensors and bytes. */
  readonly rest: { readonly tensors: readonly string[]; readonly bytes: number };
  readonly compressed: CompressedModel;
  /** What has to be imported before the result is loaded. */
  readonly modules: readonly string[];
  readonly fidelity: readonly LayerFidelity[];
  /** Whether deciles are by counts, or by the order of rows. */
  readonly counted: boolean;
  readonly remarks: readonly string[];
}

/** One line of the table of bytes. */
export interface BytesRow {
  readonly what: string;
  readonly before: number;
  readonly after: number;
}

/** Every byte of both artifacts: layers, tensors carried along, header, manifest. */
export function listBytes({ before, after, rest }: Outcome): BytesRow[] {
  const names = new Set([...before.layers, ...after.layers].map(({ layer }) => layer));
  const sizeIn = ({ layers }: ArtifactBytes, name: string) =>
    layers.find(({ layer }) => layer === name)?.bytes ?? 0;
  return [
    ...[...names].map((name) => ({
      what: name,
      before: sizeIn(before, name),
      after: sizeIn(after, name),
    })),
    ...(rest.bytes > 0
      ? [
          {
            what: `${rest.tensors.length} tensors unchanged`,
            before: rest.bytes,
            after: rest.bytes,
          },
        ]
      : []),
    { what: 'names and shapes', before: before.header, after: after.header },
    { what: 'manifest', before: before.manifest, after: after.manifest },
  ];
}

/** Bytes of the matrices that were changed, and of everything. */
export function sumBytes(outcome: Outcome): { matrices: BytesRow; whole: BytesRow } {
  const { before, after, rest, compressed } = outcome;
  const changed = new Set(compressed.account.map(({ layer }) => layer));
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
