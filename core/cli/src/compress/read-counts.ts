import { readFile } from 'node:fs/promises';
import type { Modules } from '@espalier/config';
import { EspalierError, fileError, loadExport } from '@espalier/core';

/** Word counts of a file, in its order, which has to be that of the word ids. */
export interface Counts {
  readonly counts: Float64Array;
  /** The words, where the file names them. */
  readonly words?: readonly string[];
}

const PARSER = '@espalier/plugin-vocab-partition#parseCounts';

/** @throws EspalierError `cli/counts` when the file cannot be read, `vocab-partition/…`. */
export async function readCounts(path: string, { load }: Modules): Promise<Counts> {
  const parse = (await loadExport(PARSER, { load })) as (text: string) => Counts;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('cli/counts', `cannot read the counts in ${path}`, cause);
  });
  try {
    return parse(text);
  } catch (error) {
    throw error instanceof EspalierError ? error.of(path) : error;
  }
}
