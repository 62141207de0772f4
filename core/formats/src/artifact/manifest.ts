import { canonicalJson, EspalierError, readJson, sha256Hex } from '@espalier/base';
import type { EditRecord, Topology } from '@espalier/model';
import * as z from 'zod';
import { isTooDeep, MAX_DEPTH } from '../depth.js';

/** The file that says what an artifact is; it is written last. */
export const MANIFEST = 'manifest.json';
const FORMAT = 'espalier-artifact';
const VERSION = 1;
const MAX_BYTES = 100_000_000; // as for the header of a safetensors file

/** A plugin that had a part in making the model. */
export interface ArtifactPlugin {
  /** Id of the plugin. */
  readonly id: string;
  /** Its version. */
  readonly version: string;
  /** Its options as given. */
  readonly options?: unknown;
  /** Where it comes from, as in presets: `@espalier/plugin-quantizer#quantizer`. */
  readonly use?: string;
  /** Layer classes that importing it registers; whoever lacks one is told to import it. */
  readonly layers?: readonly string[];
}

/** What {@link ArtifactManifest} says of another file of the artifact. */
export interface FileEntry {
  /** Its name has the first 16 digits of `sha256`. */
  readonly file: string;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
  /** Its size. */
  readonly bytes: number;
}

/** All of an artifact but the numbers, as plain JSON. */
export interface ArtifactManifest {
  /** Names the format. */
  readonly format: 'espalier-artifact';
  /** Version of the format. */
  readonly version: 1;
  /** The model without its weights. */
  readonly topology: Topology;
  /** The edit log of the run (`session.inspect().edits`). */
  readonly edits: readonly EditRecord[];
  /** The plugins that made it, in order. */
  readonly plugins: readonly ArtifactPlugin[];
  /** Where the model comes from, and the hash of the manifest. */
  readonly provenance: {
    /** SHA-256 of the manifest without this field; through `weights.sha256` it covers everything. */
    readonly hash: string;
    readonly [field: string]: unknown;
  };
  /** The file of weights: `weights-<hash>.safetensors`. */
  readonly weights: FileEntry;
  /** The file of the words that rows of the one word matrix stand for: `words-<hash>.json`, a list of strings. */
  readonly words?: FileEntry;
  /** What the caller wishes to keep: exits, thresholds, an account of bytes, a vocabulary. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const json = z.record(z.string(), z.unknown());
const index = z.int().nonnegative();
const outputRef = z.tuple([z.string(), index, index], json.nullable());
const fileEntry = (nameFile: (sha256: string) => string) =>
  z
    .strictObject({ file: z.string(), sha256, bytes: index })
    .refine(({ file, sha256 }) => file === nameFile(sha256), {
      path: ['file'],
      message: 'is not the name that its sha256 gives',
    });
const SCHEMA = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  topology: z.strictObject({
    className: z.literal('Model'),
    config: z.looseObject({
      name: z.string(),
      layers: z.array(
        z.looseObject({
          name: z.string().min(1),
          className: z.string(),
          config: json,
          inboundNodes: z.array(z.array(outputRef)),
        }),
      ),
      inputLayers: z.array(outputRef),
      outputLayers: z.array(outputRef).min(1),
    }),
    frozen: z.array(z.string()),
  }),
  edits: z.array(
    z.looseObject({
      plugin: z.string(),
      phase: z.enum(['setup', 'transform']),
      outputs: z.array(z.string()),
    }),
  ),
  plugins: z.array(
    z.looseObject({
      id: z.string(),
      version: z.string(),
      use: z.string().optional(),
      layers: z.array(z.string()).optional(),
    }),
  ),
  provenance: z.looseObject({ hash: sha256 }),
  weights: fileEntry(weightsFile),
  words: fileEntry(wordsFile).optional(),
  notes: json.optional(),
});

/** Named after what it holds, so that a new one never takes the place of one in use. */
export function weightsFile(sha256: string): string {
  return `weights-${sha256.slice(0, 16)}.safetensors`;
}

/** Named in the same way. */
export function wordsFile(sha256: string): string {
  return `words-${sha256.slice(0, 16)}.json`;
}

/** Whether a file of this name could be the words of an artifact. */
export function isWordsFile(name: string): boolean {
  return /^words-[0-9a-f]{16}\.json$/.test(name);
}

/** Whether a file of this name could be one that the manifest of an artifact names. */
export function isNamedFile(name: string): boolean {
  return /^weights-[0-9a-f]{16}\.safetensors$/.test(name) || isWordsFile(name);
}

/** The files that a manifest names. */
export function listNamedFiles({ weights, words }: ArtifactManifest): readonly string[] {
  return [weights.file, ...(words ? [words.file] : [])];
}

/** What a manifest says beyond format, version and hash. */
export type ManifestContent = Omit<ArtifactManifest, 'format' | 'version' | 'provenance'> & {
  readonly provenance: Readonly<Record<string, unknown>>;
};

/**
 * The manifest as the bytes of its file.
 *
 * @throws EspalierError `json/not-json`, `json/forbidden-key`, naming the field;
 * `artifact/content` on what {@link parseManifest} would refuse.
 */
export async function encodeManifest(content: ManifestContent): Promise<Uint8Array> {
  const unsigned = { ...content, format: FORMAT, version: VERSION };
  const hash = await computeHash(unsigned);
  const provenance = { ...content.provenance, hash };
  const bytes = encode({ ...unsigned, provenance });
  await parseManifest(bytes).catch(refuseContent);
  return bytes;
}

/**
 * Reads and checks a manifest. Nothing in it is acted upon before all of it is checked.
 *
 * @throws EspalierError `artifact/newer-version` when a later release wrote it,
 * `artifact/manifest` on what is no manifest, `artifact/damaged` when it was changed.
 */
export async function parseManifest(bytes: Uint8Array): Promise<ArtifactManifest> {
  const value = parseJson(bytes);
  const { format, version } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (format !== FORMAT) throw invalidManifestError(`its format is not '${FORMAT}'`, format);
  if (typeof version === 'number' && version > VERSION) throw newerFormatError(version);
  const checked = SCHEMA.safeParse(value);
  if (!checked.success) {
    const { path, message } = checked.error.issues[0]!;
    throw invalidManifestError(`field '${path.join('.')}': ${message}`);
  }
  const manifest = value as ArtifactManifest;
  if ((await computeHash(manifest)) !== manifest.provenance.hash) {
    throw damagedError(MANIFEST, 'its content does not match provenance.hash');
  }
  return manifest;
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_BYTES)
    throw invalidManifestError(`it has ${bytes.length} bytes, above ${MAX_BYTES}`);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidManifestError('it is not JSON', undefined, cause);
  }
  if (isTooDeep(value)) throw invalidManifestError(`it is nested deeper than ${MAX_DEPTH} levels`);
  return readJson(text);
}

function computeHash(manifest: ManifestContent): Promise<string> {
  const provenance = { ...manifest.provenance, hash: undefined };
  return sha256Hex(encode({ ...manifest, provenance }));
}

/** With sorted keys, so that equal manifests have equal bytes. */
function encode(manifest: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalJson(manifest, 'manifest'));
}

function refuseContent(cause: EspalierError): never {
  throw new EspalierError('artifact/content', {
    problem: `an artifact of this could not be loaded again: ${cause.parts.problem}`,
    fix: 'Give edits, plugins and notes as their types say.',
    cause,
  });
}

/** A file of the artifact that is not what its manifest says. */
export function damagedError(file: string, problem: string): EspalierError {
  return new EspalierError('artifact/damaged', {
    problem: `${file} of the artifact was changed or cut short: ${problem}`,
    fix: 'Take another copy of the whole folder.',
  });
}

function newerFormatError(version: number): EspalierError {
  return new EspalierError('artifact/newer-version', {
    problem: `the artifact has version ${version}; this release reads up to ${VERSION}`,
    fix: 'Update to the release that wrote it. The files are untouched.',
  });
}

function invalidManifestError(problem: string, received?: unknown, cause?: unknown): EspalierError {
  return new EspalierError('artifact/manifest', {
    problem: `${MANIFEST} is not the manifest of an artifact: ${problem}`,
    ...(received !== undefined && { received }),
    fix: 'Choose a folder that saveArtifact wrote, or take another copy of it.',
    cause,
  });
}
