import { readdir } from 'node:fs/promises';
import { listArtifactPlugins, listModules } from '@espalier/compress';
import type { ExportedModel } from '@espalier/compress';
import { compressionReport } from '@espalier/compression';
import { loadConfig, withSession } from '@espalier/config';
import { listConstrainedLayers, disposeModel, EspalierError, unplainLayers } from '@espalier/core';
import type { Session } from '@espalier/core';
import { saveArtifact, writeModelFolder } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writeImport } from '../compress/loading-code.js';
import { print } from '../print.js';
import { loadCheckpoint } from '../resume.js';
import { warnIfUnfinished } from '../unfinished.js';

/** Options of `espalier export`. */
export interface ExportOptions {
  readonly set: readonly string[];
  readonly out: string;
  /** Plain files of TensorFlow.js; the same with compressed layers decoded; an artifact. */
  readonly format: 'tfjs' | 'dense' | 'artifact';
  /** A file or folder; default: the configuration's. */
  readonly checkpoint?: string;
  /** Differences to the checkpoint's run that are accepted. */
  readonly allowMismatch?: readonly string[];
}

/** Writes the trained model, as transformed, for use elsewhere. */
export async function exportModel(path: string, options: ExportOptions): Promise<void> {
  const { set, format, out, checkpoint, allowMismatch } = options;
  await refuseForeignFolder(out, format);
  const loaded = await loadConfig(path, set);
  await withSession(loaded, async (session) => {
    await loadCheckpoint(session, loaded, { path: checkpoint, allowMismatch });
    warnIfUnfinished(session, loaded);
    const constraints = format === 'artifact';
    const model = session.export({ dense: format === 'dense', constraints });
    try {
      const lines = await write(session, model, options);
      print(lines.join('\n'));
    } finally {
      disposeModel(model);
    }
  });
}

async function write(
  session: Session,
  model: LayersModel,
  { format, out }: ExportOptions,
): Promise<readonly string[]> {
  const inspection = session.inspect();
  const { edits, manifest } = inspection;
  const exported = { model, inspection, steps: compressionReport(edits) };
  const { step } = session.clock;
  if (format === 'artifact') {
    const provenance = { command: 'espalier export', step, preset: manifest.hash };
    const plugins = listArtifactPlugins(exported);
    const { total } = await saveArtifact(out, { model, edits, plugins, provenance });
    return [
      `${out}: the model of step ${step} as an artifact, ${total} bytes`,
      ...describeRequirements(exported),
    ];
  }
  await writeModelFolder(model, out);
  return [
    `${out}: the model of step ${step} as model.json and its weights, for tf.loadLayersModel`,
    ...findDroppedConstraints(session),
    ...describeRequirements(exported),
  ];
}

/** The layers whose constraints are left out. */
function findDroppedConstraints({ model }: Session): readonly string[] {
  const layers = listConstrainedLayers(model);
  if (layers.length === 0) return [];
  return [
    `Constraints are left out, because tf.loadLayersModel would apply them to the trained weights: ${layers.join(', ')}.`,
  ];
}

/** What must be imported before the model is loaded. */
function describeRequirements(exported: ExportedModel): readonly string[] {
  const layers = unplainLayers(exported.model);
  if (layers.length === 0) return [];
  const classes = [...new Set(layers.map(({ className }) => className))];
  const modules = listModules(exported).map(writeImport);
  const isCompressed = exported.steps.some(({ layer }) =>
    layers.some(({ path }) => path === layer),
  );
  return [
    `It has layers that TensorFlow.js does not have: ${classes.join(', ')}. Before you load it, ${modules.length > 0 ? modules.join(' ') : 'import the modules that register their classes.'}`,
    ...(isCompressed ? ['With --format dense it has ordinary layers instead.'] : []),
  ];
}

/** Refuses a folder that holds something else, before anything is loaded. */
async function refuseForeignFolder(out: string, format: ExportOptions['format']): Promise<void> {
  const names = await readdir(out).catch((cause: NodeJS.ErrnoException): string[] => {
    if (cause.code === 'ENOENT') return [];
    throw new EspalierError('cli/out', {
      problem: `cannot write to ${out}: ${cause.message}`,
      cause,
    });
  });
  const own = format === 'artifact' ? 'manifest.json' : 'model.json';
  if (names.length === 0 || names.includes(own)) return;
  throw new EspalierError('cli/out', {
    problem: `${out} contains files that are not an exported model`,
    received: names.slice(0, 5),
    fix: 'Choose an empty or new folder for --out. Nothing was changed.',
  });
}
