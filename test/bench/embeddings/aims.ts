import { AIMED } from '../embeddings-ours.js';
import type { Figure } from '../measure.js';
import { groupBy } from './results.js';
import type { Row } from './run-row.js';

/** A matrix far larger than a process without it. */
const LARGE = 2 ** 26;
/** Rows of a size of their own may take more bytes than asked for; they are no measure for others. */
const fits = ({ input, bytes, ratio }: Row): boolean => bytes <= (1.001 * input) / ratio;
const isOurs = ({ by }: Row): boolean => by === 'Espalier';

/** Of each matrix and size: ours against the best of the others, and what it costs. */
export function listFigures(rows: readonly Row[]): readonly Figure[] {
  const groups = groupBy(rows.filter(fits), ({ matrix, ratio }) => `${matrix} ${ratio}`);
  return groups.flatMap((group) => {
    const figures = [...compareQuality(group), ...comparePrices(group), ...listPeaks(group)];
    const { matrix, ratio } = group[0]!;
    return figures.map((figure) => ({ ...figure, name: `${matrix} ${ratio}×: ${figure.name}` }));
  });
}

function compareQuality(rows: readonly Row[]): readonly Figure[] {
  const theirs = rows.filter((row) => !isOurs(row));
  const compare = (
    method: string,
    { name, unit, target }: Pick<Figure, 'name' | 'unit' | 'target'>,
    valueOf: (row: Row) => number | undefined,
    distance: (mine: number, best: number) => number,
  ): readonly Figure[] => {
    const ours = rows.filter((row) => row.method === method);
    const [mine, best] = [ours, theirs].map((some) => findLeast(some, valueOf));
    if (!mine || !best) return [];
    const spread = `${method} against ${best.row.method}`;
    return [{ name, unit, target, value: distance(mine.value, best.value), spread }];
  };
  const behind = (mine: number, best: number) => 100 * (mine - best);
  const points = (name: string) =>
    ({ name: `neighbours kept, ${name}, behind`, unit: 'points', target: 1 }) as const;
  const lostOfTop = ({ top }: Row) => (top ? 1 - top.mean : undefined);
  return [
    ...compare(AIMED.neighbours, points('all'), ({ all }) => 1 - all.mean, behind),
    ...compare(AIMED.neighbours, points('top 5000'), lostOfTop, behind),
    ...compare(
      AIMED.counts,
      { name: 'weighted error / theirs', unit: '×', target: 1 },
      ({ weighted }) => weighted ?? undefined,
      (mine, best) => mine / best,
    ),
  ];
}

function findLeast(rows: readonly Row[], valueOf: (row: Row) => number | undefined) {
  const found = rows.flatMap((row) => {
    const value = valueOf(row);
    return value === undefined ? [] : { row, value };
  });
  return found.sort((a, b) => a.value - b.value)[0];
}

/** The same method of ours and of faiss. */
function comparePrices(rows: readonly Row[]): readonly Figure[] {
  const find = (method: string) => rows.find((row) => row.method === method);
  return ['PQ', 'OPQ', 'RQ'].flatMap((name) => {
    const [ours, theirs] = [find(`our ${name}`), find(`faiss ${name}`)];
    if (!ours || !theirs) return [];
    const value = ours.seconds / theirs.seconds;
    const spread = `${ours.seconds.toFixed(1)} / ${theirs.seconds.toFixed(1)} s`;
    return [{ name: `CPU seconds of ${name} / faiss`, value, unit: '×', target: 2, spread }];
  });
}

function listPeaks(rows: readonly Row[]): readonly Figure[] {
  return rows
    .filter((row) => isOurs(row) && row.input >= LARGE)
    .map(({ method, peak, input }) => ({
      name: `peak memory of ${method} / input`,
      value: (peak * 2 ** 20) / input,
      unit: '×',
      target: 2.5,
    }));
}
