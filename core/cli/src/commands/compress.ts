import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useBackend } from '@espalier/backend';
import { checkOutputFolder, compressFile } from '@espalier/compress/node';
import type { CompressedFile, CompressFileOptions } from '@espalier/compress/node';
import { Modules } from '@espalier/config';
import { disposeModel, fileError } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { explainError } from '../compress/explain-error.js';
import { findPreset, readBudget } from '../compress/flags.js';
import type { CompressFlags } from '../compress/flags.js';
import { describeAsData, formatCommand, formatText } from '../compress/format-outcome.js';
import type { Outcome } from '../compress/outcome.js';
import { renderPage } from '../compress/page.js';
import { showProgress } from '../compress/progress.js';
import { listRemarks } from '../compress/remarks.js';
import { describeBackend } from '../observe.js';
import { print, printJson } from '../print.js';

/** Options of `espalier compress`. */
export interface CompressCommandOptions extends CompressFlags {
  readonly out: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Compresses a model or a matrix without training it; prints what that costs, and writes a page. */
export async function compress(path: string, options: CompressCommandOptions): Promise<void> {
  const { out, json, quiet = false, verbose } = options;
  const { say, onEvent } = showProgress(quiet);
  try {
    await checkOutputFolder(out, path);
    const backend = await useBackend();
    try {
      say(describeBackend(backend, verbose));
      const result = await compressFile(path, readOptions(path, options, { backend, onEvent }));
      await finish(result, formatCommand(path, options), json);
    } finally {
      backend.dispose();
    }
  } catch (error) {
    throw explainError(error);
  }
}

function readOptions(
  path: string,
  options: CompressCommandOptions,
  given: Pick<CompressFileOptions, 'backend' | 'onEvent'>,
): CompressFileOptions {
  const { out, counts, ratio, maxError, bits, blocks, layers, objective, tied } = options;
  return {
    ...given,
    ...{ out, counts, ratio, maxError, bits, blocks, layers, objective, tied },
    preset: findPreset(options.preset),
    budget: readBudget(options.budget),
    load: loadFromBoth,
    provenance: { command: formatCommand(path, options) },
  };
}

/** A module of the working folder, or where there is none, one that is installed beside this command. */
function loadFromBoth(specifier: string): ReturnType<Modules['load']> {
  const [working, own] = [resolve('espalier'), fileURLToPath(import.meta.url)].map(
    (from) => new Modules(from),
  ) as [Modules, Modules];
  return isFound(working, specifier) || !isFound(own, specifier)
    ? working.load(specifier)
    : own.load(specifier);
}

function isFound(modules: Modules, specifier: string): boolean {
  try {
    modules.resolve(specifier);
    return true;
  } catch {
    return false;
  }
}

async function finish(result: CompressedFile, command: string, json = false): Promise<void> {
  try {
    const outcome: Outcome = { ...result, command, remarks: listRemarks(result) };
    await writePage(result.out, renderPage(outcome));
    if (json) printJson(describeAsData(outcome), 'outcome');
    else print(formatText(outcome));
  } finally {
    disposeModel(result.compressed.model);
  }
}

async function writePage(out: string, page: string): Promise<void> {
  await fileStore(out)
    .write('report.html', new TextEncoder().encode(page))
    .catch(({ cause }: Error) => {
      throw fileError('cli/out', `cannot write report.html beside the artifact in ${out}`, cause);
    });
}
