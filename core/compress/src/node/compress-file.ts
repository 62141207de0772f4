import { basename, resolve } from 'node:path';
import { disposeModel } from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import { countBytes, isFloat, packArtifact } from '@espalier/formats';
import type { MeasuredBytes } from '../bytes.js';
import { makePlan, runPlan } from '../compress-model.js';
import type { CompressedModel } from '../compress-model.js';
import type { CompressStage } from '../events.js';
import { measureFidelity } from '../fidelity.js';
import type { LayerFidelity } from '../fidelity.js';
import { listArtifactPlugins, listModules } from '../modules.js';
import type { CompressOptions } from '../options.js';
import { checkOutputFolder, encodeRest, writeOutputFolder } from './output-folder.js';
import { readCounts } from './read-counts.js';
import type { WordCounts } from './read-counts.js';
import { readInput } from './read-input.js';
import type { CompressInput } from './read-input.js';

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
  /** Where word counts came from: a file that names words is trusted to have them in the order of their ids. */
  readonly counts: 'none' | 'by word id' | 'in the order of the words';
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
    typeof counts === 'string'
      ? await readCounts(counts, others)
      : counts && { counts, words: undefined };
  const settings: CompressOptions = { ...others, counts: given?.counts };
  // Before the input is read: this imports the layers that an artifact may have.
  const plan = await makePlan(settings);
  const run = stageRunner(settings);
  const onProgress = ({ done, total }: { done: number; total: number }) =>
    settings.onEvent?.({ type: 'progress', what: 'bytes read', done, total });
  const input = await run('reading', () => readInput(path, { onProgress }));
  try {
    const compressed = await run('compressing', () => runPlan(input.model, plan, settings));
    try {
      const models = { original: input.model, compressed, counts: given?.counts };
      const fidelity = await run('measuring', () => measureFidelity(models));
      const written = await run('writing', () =>
        write(path, input, compressed, { out, provenance }),
      );
      return { ...written, compressed, fidelity, counts: describeOrder(given) };
    } catch (error) {
      disposeModel(compressed.model);
      throw error;
    }
  } finally {
    disposeModel(input.model);
  }
}

type Written = Omit<CompressedFile, 'compressed' | 'fidelity' | 'counts'>;

async function write(
  path: string,
  input: CompressInput,
  compressed: CompressedModel,
  { out, provenance }: Pick<CompressFileOptions, 'out' | 'provenance'>,
): Promise<Written> {
  const { model, inspection } = compressed;
  const rest = encodeRest(input.rest);
  const { words } = input;
  const before = countBytes(await packArtifact({ model: input.model, words }));
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

function describeOrder(given: Pick<WordCounts, 'words'> | undefined): CompressedFile['counts'] {
  if (!given) return 'none';
  return given.words ? 'in the order of the words' : 'by word id';
}
