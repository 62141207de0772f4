import { basename, resolve } from 'node:path';
import { disposeModel, EspalierError, extractGraph } from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import { isFloat, measureArtifact } from '@espalier/formats';
import type { MeasuredBytes } from '../bytes.js';
import { makePlan, runPlan } from '../compress-model.js';
import type { CompressedModel } from '../compress-model.js';
import type { CompressStage } from '../events.js';
import { measureFidelity } from '../fidelity.js';
import type { LayerFidelity } from '../fidelity.js';
import { listArtifactPlugins, listModules } from '../modules.js';
import type { CompressOptions } from '../options.js';
import { plainTopology } from './elsewhere.js';
import { matchCounts } from './match-counts.js';
import type { MatchedCounts } from './match-counts.js';
import { checkOutputFolder, encodeRest, writeOutputFolder } from './output-folder.js';
import { readCounts } from './read-counts.js';
import type { WordCounts } from './read-counts.js';
import { openInput } from './read-input.js';
import type { CompressInput, OpenInput } from './read-input.js';
import { Unfinished } from './unfinished.js';

/** How to compress a file. */
export interface CompressFileOptions extends Omit<CompressOptions, 'counts'> {
  /** The folder of the result: new, empty, or with an earlier result, which is replaced. */
  readonly out: string;
  /** Word counts, or the path of a file of them; see {@link readCounts}. */
  readonly counts?: string | ArrayLike<number> | undefined;
  /** Recorded in the manifest of the artifact, with the name of the input and the hash of the preset. */
  readonly provenance?: Readonly<Record<string, unknown>> | undefined;
}

/** A tensor of the input that was kept unchanged. */
export interface UnchangedTensor extends Pick<HostTensor, 'dtype' | 'shape'> {
  readonly name: string;
  /** Other elements may be codes of a packed matrix. */
  readonly isFloat: boolean;
}

/** The result of {@link compressFile}. */
export interface CompressedFile extends MeasuredBytes {
  /** The name of the file or folder that was read. */
  readonly input: string;
  readonly kind: CompressInput['kind'];
  /** Bytes of the input on disk. */
  readonly inputBytes: number;
  readonly out: string;
  /** Its model is the caller's: `disposeModel(compressed.model)`. */
  readonly compressed: CompressedModel;
  readonly fidelity: readonly LayerFidelity[];
  /** What must be imported before the artifact is loaded. */
  readonly modules: readonly string[];
  /**
   * Where word counts came from. Where they name words and the input does not, they are trusted to be in the order of
   * the rows.
   */
  readonly counts: 'none' | 'by word' | 'by word id' | 'in the order of the words';
  /** How many rows have a count, where counts were matched by word. */
  readonly matched?: MatchedCounts;
  /** Bytes of a number of the input's matrices: 2 where all are float16 or bfloat16; sizes are told for 4. */
  readonly elementBytes: 2 | 4;
  readonly rest: { readonly tensors: readonly UnchangedTensor[]; readonly bytes: number };
}

/**
 * Reads a model or a matrix, compresses it without training, measures what that costs, and writes an artifact.
 * Tensors that no layer holds go to `rest.safetensors` beside it, unchanged.
 *
 * @param path See {@link readInput}.
 * @throws EspalierError `compress/output`, and the errors of {@link readInput}, {@link readCounts} and
 * {@link compressModel}. A folder that holds an earlier result keeps it then.
 * @example
 * const { compressed, fidelity } = await compressFile('model.safetensors', {
 *   preset: '@espalier/preset-group-reduce#groupReduce',
 *   ratio: 8,
 *   counts: 'counts.tsv',
 *   out: 'small',
 * });
 * disposeModel(compressed.model);
 */
export async function compressFile(
  path: string,
  options: CompressFileOptions,
): Promise<CompressedFile> {
  const { out, counts, provenance, ...others } = options;
  await checkOutputFolder(out, path);
  const given =
    typeof counts === 'string' ? await readCounts(counts, others) : counts && { counts };
  const asked: CompressOptions = { ...others, counts: given?.counts };
  // Before the input is read: this imports the layers that an artifact may have.
  const first = await makePlan(asked);
  const run = stageRunner(asked);
  const unfinished = new Unfinished(out, asked);
  const input = await run('reading', () =>
    openInput(path, {
      onProgress: ({ done, total }) => tell(asked, 'bytes read', done, total),
      streams: { wants: (each) => first.streams(each), work: (layer) => unfinished.matrix(layer) },
    }),
  );
  try {
    const { settings, described } = orderCounts(asked, given, input);
    const plan = await makePlan(settings);
    if (input.elsewhere.length > 0) await unfinished.open(path, plan);
    const compressed = await run('compressing', () =>
      naming(path, () => runPlan(input.model, plan, settings)),
    );
    const result = { compressed, ...described };
    return await finish(path, input, result, { ...settings, out, provenance }, run).then(
      async (finished) => {
        await unfinished.remove();
        return finished;
      },
      (error: unknown) => {
        disposeModel(compressed.model);
        throw error;
      },
    );
  } finally {
    await unfinished.close();
    disposeModel(input.model);
    await input.close();
  }
}

function tell({ onEvent }: CompressOptions, what: string, done: number, total: number): void {
  onEvent?.({ type: 'progress', what, done, total });
}

/** Numbers that are not finite are told with the name of the file. */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isOfFile = error instanceof EspalierError && error.code === 'block-codes/not-finite';
    throw isOfFile ? error.withPrefix(path) : error;
  }
}

type Made = Pick<CompressedFile, 'compressed' | 'counts' | 'matched'>;

/** Measures what was made, and writes it. */
async function finish(
  path: string,
  input: OpenInput,
  made: Made,
  settings: CompressOptions & Pick<CompressFileOptions, 'out' | 'provenance'>,
  run: ReturnType<typeof stageRunner>,
): Promise<CompressedFile> {
  const { compressed } = made;
  const fidelity = await run('measuring', () =>
    measureFidelity({
      ...{ original: input.model, compressed, counts: settings.counts },
      onRows: (layer, done, total) => tell(settings, `${layer}: rows read to compare`, done, total),
    }),
  );
  const written = await run('writing', () => write(path, input, compressed, settings));
  return { ...written, ...made, fidelity };
}

type Written = Omit<CompressedFile, 'compressed' | 'counts' | 'fidelity' | 'matched'>;

async function write(
  path: string,
  input: OpenInput,
  compressed: CompressedModel,
  { out, provenance }: Pick<CompressFileOptions, 'out' | 'provenance'>,
): Promise<Written> {
  const { model, inspection } = compressed;
  const rest = encodeRest(input.rest);
  const { words, elsewhere } = input;
  const graph = extractGraph(input.model);
  const topology = plainTopology(graph.topology, elsewhere);
  const before = await measureArtifact({ ...graph, topology, elsewhere, words });
  const preset = inspection.manifest.hash;
  const content = {
    model,
    words,
    edits: inspection.edits,
    plugins: listArtifactPlugins(compressed, input.plugins),
    provenance: { ...provenance, input: basename(path), preset },
  };
  return {
    input: basename(resolve(path)),
    kind: input.kind,
    inputBytes: input.bytes,
    elementBytes: input.elementBytes,
    out,
    before,
    after: await writeOutputFolder(out, content, rest),
    rest: { tensors: listUnchanged(input), bytes: rest.length },
    modules: listModules(compressed, input.plugins),
  };
}

function listUnchanged({ rest }: CompressInput): UnchangedTensor[] {
  return [...rest].map(([name, tensor]) => {
    const { dtype, shape } = tensor;
    return { name, dtype, shape, isFloat: isFloat(tensor) };
  });
}

function stageRunner({ onEvent }: CompressOptions) {
  return async <T>(stage: CompressStage, work: () => Promise<T>): Promise<T> => {
    const since = performance.now();
    onEvent?.({ type: 'stage-start', stage });
    const result = await work();
    const seconds = (performance.now() - since) / 1000;
    onEvent?.({ type: 'stage-end', stage, seconds });
    return result;
  };
}

/** Counts in the order of the rows, where both say which word they are of. */
function orderCounts(
  asked: CompressOptions,
  given: WordCounts | { readonly counts: ArrayLike<number> } | undefined,
  { words: rows }: OpenInput,
): { readonly settings: CompressOptions; readonly described: Pick<Made, 'counts' | 'matched'> } {
  if (!given) return { settings: asked, described: { counts: 'none' } };
  const words = 'words' in given ? given.words : undefined;
  if (!words) return { settings: asked, described: { counts: 'by word id' } };
  if (!rows) return { settings: asked, described: { counts: 'in the order of the words' } };
  const { counts, matched } = matchCounts({ counts: given.counts as Float64Array, words }, rows);
  return { settings: { ...asked, counts }, described: { counts: 'by word', matched } };
}
