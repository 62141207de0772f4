import type { StageTables } from './beam-search.js';
import { moveToMeans } from './refine-centroids.js';
import type { RowSample } from './sample-rows.js';

/** Takes an entry off each row. */
export function subtractEntries(
  data: Float32Array,
  table: Float32Array,
  columns: number,
  ids: ArrayLike<number>,
): void {
  for (let i = 0, at = 0; i < ids.length; i++) {
    for (let j = 0, c = ids[i]! * columns; j < columns; j++) data[at++]! -= table[c++]!;
  }
}

function addEntries(
  data: Float32Array,
  table: Float32Array,
  columns: number,
  ids: ArrayLike<number>,
): void {
  for (let i = 0, at = 0; i < ids.length; i++) {
    for (let j = 0, c = ids[i]! * columns; j < columns; j++) data[at++]! += table[c++]!;
  }
}

/**
 * Moves each table in turn to the weighted means of what the others leave of the rows, with the codes as
 * they are: the error of these codes never grows.
 */
export function tuneStages(
  { matrix, weights }: RowSample,
  codes: Uint8Array,
  { codebook, stages, size, columns }: StageTables,
): void {
  const data = matrix.data.slice();
  const points = { data, count: matrix.rows, width: columns, weights };
  const tables = Array.from({ length: stages }, (_, stage) => ({
    table: codebook.subarray(stage * size * columns, (stage + 1) * size * columns),
    ids: Int32Array.from({ length: matrix.rows }, (_, i) => codes[i * stages + stage]!),
  }));
  for (const { table, ids } of tables) subtractEntries(data, table, columns, ids);
  for (const { table, ids } of tables) {
    addEntries(data, table, columns, ids);
    moveToMeans(points, ids, table);
    subtractEntries(data, table, columns, ids);
  }
}
