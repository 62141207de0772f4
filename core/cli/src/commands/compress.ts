import { basename, resolve } from 'node:path';
import { artifactBytes, isFloat, packArtifact } from '@espalier/formats';
import { useBackend } from '@espalier/backend';
import { Modules } from '@espalier/config';
import { disposeModel, resolvePreset } from '@espalier/core';
import { artifactPlugins, modulesOf } from '../compress/artifact-plugins.js';
import { compressed } from '../compress/compressed.js';
import type { Compressed, Compression } from '../compress/compressed.js';
import { presetReference } from '../compress/flags.js';
import type { CompressFlags } from '../compress/flags.js';
import { measure, worstError } from '../compress/measure.js';
import { checkOut, restFile, writeOut, writeReport } from '../compress/out-folder.js';
import type { Outcome } from '../compress/outcome.js';
import { planOf } from '../compress/overrides.js';
import { compressPage } from '../compress/page.js';
import { compressProgress } from '../compress/progress.js';
import { readCounts } from '../compress/read-counts.js';
import type { Counts } from '../compress/read-counts.js';
import { readInput } from '../compress/read-input.js';
import type { Input } from '../compress/read-input.js';
import { asJson, asText, commandOf } from '../compress/tell.js';
import { backendLine } from '../observe.js';

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
  const progress = compressProgress(options.quiet ?? false);
  await checkOut(options.out, path);
  const backend = await useBackend();
  try {
    progress.say(backendLine(backend, options.verbose));
    const outcome = await compressWith(path, options, { backend, progress });
    process.stdout.write(`${options.json ? asJson(outcome) : asText(outcome)}\n`);
    disposeModel(outcome.compressed.model);
  } finally {
    backend.dispose();
  }
}

async function compressWith(
  path: string,
  options: CompressOptions,
  { backend, progress }: Pick<Compression, 'backend' | 'progress'>,
): Promise<Outcome> {
  const modules = new Modules(resolve('espalier'));
  const preset = presetReference(options.preset);
  // First, since this imports the layers that an artifact to read may have.
  const { manifest } = await resolvePreset(preset, { load: modules.load });
  const given =
    options.counts === undefined ? undefined : await readCounts(options.counts, modules);
  const plan = planOf(manifest, options, given?.counts);
  const input = await progress.stage('reading', () => readInput(path));
  const { model } = input;
  try {
    const weighs = plan.overrides['word-importance'] !== false;
    const counts = weighs ? given?.counts : undefined;
    const errorOf = async (result: Compressed) =>
      (await worstError({ original: model, compressed: result, counts })) / plan.target!.value;
    const parts = { model, preset, plan, modules, backend, progress, errorOf };
    const result = await progress.stage('compressing', () => compressed(parts));
    const measuring = { original: model, compressed: result, counts: given?.counts };
    const fidelity = await progress.stage('measuring', () => measure(measuring));
    const remarks = [...plan.remarks, ...inputRemarks(input, given)];
    const told = { path, options, fidelity, remarks, counted: given !== undefined };
    return await progress.stage('writing', () => write(input, result, told));
  } finally {
    disposeModel(model);
  }
}

interface Told extends Pick<Outcome, 'fidelity' | 'remarks' | 'counted'> {
  readonly path: string;
  readonly options: CompressOptions;
}

async function write(input: Input, result: Compressed, told: Told): Promise<Outcome> {
  const { path, options, ...rest } = told;
  const { model, inspection } = result;
  const restBytes = restFile(input.rest);
  const command = commandOf(path, options);
  const content = {
    model,
    edits: inspection.edits,
    plugins: artifactPlugins(result, input.plugins),
    provenance: { command, input: basename(path), preset: inspection.manifest.hash },
  };
  const before = artifactBytes(await packArtifact({ model: input.model }));
  const after = await writeOut(options.out, content, restBytes);
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
    modules: modulesOf(result, input.plugins),
  };
  await writeReport(options.out, compressPage(outcome));
  return outcome;
}

function inputRemarks({ rest }: Input, given: Counts | undefined): string[] {
  const codes = [...rest].filter(([, tensor]) => !isFloat(tensor) && tensor.shape.length > 1);
  return [
    ...(given?.words
      ? ['The counts were taken in the order of their file: its first word is row 0.']
      : []),
    ...(rest.size > 0
      ? [
          `${rest.size} tensors belong to no module that is read; they are in rest.safetensors, unchanged: ${listed([...rest.keys()])}.`,
        ]
      : []),
    ...(codes.length > 0
      ? [
          `${codes.length} of them hold codes, not numbers (${listed([...new Set(codes.map(([, { dtype }]) => dtype))])}): what is packed is not compressed again.`,
        ]
      : []),
  ];
}

function listed(names: readonly string[]): string {
  const more = names.length > 5 ? `, … (${names.length - 5} more)` : '';
  return `${names.slice(0, 5).join(', ')}${more}`;
}
