import { basename, resolve } from 'node:path';
import { useBackend } from '@espalier/backend';
import { Modules } from '@espalier/config';
import { disposeModel, resolvePreset } from '@espalier/core';
import { countBytes, isFloat, packArtifact } from '@espalier/formats';
import { listArtifactPlugins, listModules } from '../compress/artifact-plugins.js';
import { compressModel } from '../compress/compress-model.js';
import type { CompressedModel, CompressionTask } from '../compress/compress-model.js';
import { findPreset } from '../compress/flags.js';
import type { CompressFlags } from '../compress/flags.js';
import { formatJson, formatText, formatCommand } from '../compress/format-outcome.js';
import { measureFidelity, findWorstError } from '../compress/measure.js';
import {
  checkOutFolder,
  encodeRest,
  writeArtifactFolder,
  writeReport,
} from '../compress/out-folder.js';
import type { Outcome } from '../compress/outcome.js';
import { renderPage } from '../compress/page.js';
import { planCompression } from '../compress/plan.js';
import { showProgress } from '../compress/progress.js';
import { readCounts } from '../compress/read-counts.js';
import type { Counts } from '../compress/read-counts.js';
import { readInput } from '../compress/read-input.js';
import type { Input } from '../compress/read-input.js';
import { describeBackend } from '../observe.js';

/** Options of `espalier compress`. */
export interface CompressOptions extends CompressFlags {
  readonly out: string;
  readonly counts?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Compresses a model or a matrix without training it, and tells what that cost. */
export async function compress(path: string, options: CompressOptions): Promise<void> {
  const progress = showProgress(options.quiet ?? false);
  await checkOutFolder(options.out, path);
  const backend = await useBackend();
  try {
    progress.say(describeBackend(backend, options.verbose));
    const outcome = await compressWith(path, options, { backend, progress });
    process.stdout.write(`${options.json ? formatJson(outcome) : formatText(outcome)}\n`);
    disposeModel(outcome.compressed.model);
  } finally {
    backend.dispose();
  }
}

async function compressWith(
  path: string,
  options: CompressOptions,
  { backend, progress }: Pick<CompressionTask, 'backend' | 'progress'>,
): Promise<Outcome> {
  const modules = new Modules(resolve('espalier'));
  const preset = findPreset(options.preset);
  // First, since this imports the layers that an artifact to read may have.
  const { manifest } = await resolvePreset(preset, { load: modules.load });
  const given =
    options.counts === undefined ? undefined : await readCounts(options.counts, modules);
  const plan = planCompression(manifest, options, given?.counts);
  const input = await progress.stage('reading', () => readInput(path));
  const { model } = input;
  try {
    const weighs = plan.overrides['word-importance'] !== false;
    const counts = weighs ? given?.counts : undefined;
    const errorMeasure = async (result: CompressedModel) =>
      (await findWorstError({ original: model, compressed: result, counts })) / plan.target!.value;
    const parts = { model, preset, plan, modules, backend, progress, errorOf: errorMeasure };
    const result = await progress.stage('compressing', () => compressModel(parts));
    const measuring = { original: model, compressed: result, counts: given?.counts };
    const fidelity = await progress.stage('measuring', () => measureFidelity(measuring));
    const remarks = [...plan.remarks, ...describeInputWarnings(input, given)];
    const told = { path, options, fidelity, remarks, counted: given !== undefined };
    return await progress.stage('writing', () => writeOutcome(input, result, told));
  } finally {
    disposeModel(model);
  }
}

interface OutputText extends Pick<Outcome, 'fidelity' | 'remarks' | 'counted'> {
  readonly path: string;
  readonly options: CompressOptions;
}

async function writeOutcome(
  input: Input,
  result: CompressedModel,
  told: OutputText,
): Promise<Outcome> {
  const { path, options, ...rest } = told;
  const { model, inspection } = result;
  const restBytes = encodeRest(input.rest);
  const command = formatCommand(path, options);
  const content = {
    model,
    edits: inspection.edits,
    plugins: listArtifactPlugins(result, input.plugins),
    provenance: { command, input: basename(path), preset: inspection.manifest.hash },
  };
  const before = countBytes(await packArtifact({ model: input.model }));
  const after = await writeArtifactFolder(options.out, content, restBytes);
  const outcome: Outcome = {
    ...rest,
    input: basename(resolve(path)),
    kind: input.kind,
    out: options.out,
    command,
    inputBytes: input.bytes,
    before,
    after,
    rest: { tensors: [...input.rest.keys()], bytes: restBytes.length },
    compressed: result,
    modules: listModules(result, input.plugins),
  };
  await writeReport(options.out, renderPage(outcome));
  return outcome;
}

function describeInputWarnings({ rest }: Input, given: Counts | undefined): string[] {
  const codes = [...rest].filter(([, tensor]) => !isFloat(tensor) && tensor.shape.length > 1);
  return [
    ...(given?.words
      ? ['The counts were taken in the order of their file: its first word is row 0.']
      : []),
    ...(rest.size > 0
      ? [
          `${rest.size} tensors belong to no module that is read; they are in rest.safetensors, unchanged: ${joinWithAnd([...rest.keys()])}.`,
        ]
      : []),
    ...(codes.length > 0
      ? [
          `${codes.length} of them hold codes, not numbers (${joinWithAnd([...new Set(codes.map(([, { dtype }]) => dtype))])}): what is packed is not compressed again.`,
        ]
      : []),
  ];
}

function joinWithAnd(names: readonly string[]): string {
  const more = names.length > 5 ? `, … (${names.length - 5} more)` : '';
  return `${names.slice(0, 5).join(', ')}${more}`;
}
