import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of a matrix. */
export interface WrittenMatrix {
  readonly name: string;
  /** `.npy`, float32. */
  readonly file: string;
  /** JSON list by row, each at least 1; none: no counts. */
  readonly counts: string | undefined;
}

/** A word without a count counts once. */
export async function writeCounts(
  folder: string,
  name: string,
  counts: readonly number[],
): Promise<string> {
  const path = join(folder, `${name}.counts.json`);
  await writeFile(path, JSON.stringify(counts.map((count) => Math.max(1, count))));
  return path;
}
