import type { RowSource, WorkStore } from '@espalier/compression';
import type { Cells } from './cells.js';
import type { Survey } from './survey.js';

/** Under which it is kept. */
const SURVEY = 'survey';

/** What was kept: squared lengths of rows, and the survey by the same divisions. */
export interface KeptSurvey {
  readonly squares: Float64Array;
  survey(divisions: readonly Cells[]): Survey;
}

/** Keeps what the first two sweeps told, exactly. */
export async function keepSurvey(
  work: WorkStore,
  squares: Float64Array,
  { grams, sample }: Survey,
): Promise<void> {
  const count = Float64Array.of(sample.rows);
  const arrays = [count, squares, sample.copies, ...grams.flat(), sample.ids, sample.data];
  await work.write(
    SURVEY,
    arrays.map(
      ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
    ),
  );
}

/** What {@link keepSurvey} kept, if it did. */
export async function readSurvey(
  work: WorkStore,
  { rows, columns }: RowSource,
): Promise<KeptSurvey | undefined> {
  const bytes = await work.read(SURVEY);
  if (!bytes) return undefined;
  let at = 0;
  const take = (length: number) => {
    const part = bytes.slice(at, at + length).buffer;
    at += length;
    return part;
  };
  const doubles = (length: number) => new Float64Array(take(8 * length));
  const [count] = doubles(1) as unknown as [number];
  const squares = doubles(rows);
  const copies = doubles(count);
  return {
    squares,
    survey(divisions) {
      const grams = divisions.map(({ sizes }) => sizes.map(() => doubles(columns ** 2)));
      const ids = new Int32Array(take(4 * count));
      const data = new Float32Array(take(4 * count * columns));
      return { grams, sample: { data, rows: count, columns, ids, copies } };
    },
  };
}
