import { EspalierError, suggest } from '@espalier/core';
import type { Level } from './levels.js';
import type { LoadedStudy } from './load-study.js';

/** A row of a study: the base with the levels that it takes of some factors. */
export interface RowDesign {
  readonly name: string;
  readonly levels: readonly Level[];
}

export const BASE = 'base';

/** What contrasts call the row of `equalCompute`, whose own name tells which row it is as long as. */
export const EQUAL_COMPUTE = 'equal compute';

const MOST_ROWS = 100_000;

/** The rows in order, the base first. 10 000 rows of a grid are made as they are asked for. */
export function* designRows(study: LoadedStudy): Generator<RowDesign> {
  yield { name: BASE, levels: [] };
  for (const row of listDesigns(study)) {
    if (row.name === BASE) throw designError(`row '${BASE}' is the base`, 'Give it another name.');
    if (row.name === EQUAL_COMPUTE) {
      throw designError(`row '${EQUAL_COMPUTE}' is that of equalCompute`, 'Give it another name.');
    }
    yield row;
  }
}

function listDesigns(study: LoadedStudy): Iterable<RowDesign> {
  const { design } = study.settings;
  if (design === 'grid') return listGrid(study);
  if (design !== 'one-at-a-time') return listExplicit(study, design);
  return study.levels.map((level) => ({ name: nameRow([level], study), levels: [level] }));
}

function* listGrid(study: LoadedStudy): Generator<RowDesign> {
  const factors = [...new Set(study.levels.map(({ factor }) => factor))];
  const choices = factors.map((factor) => [
    undefined,
    ...study.levels.filter((level) => level.factor === factor),
  ]);
  const total = choices.reduce((product, levels) => product * levels.length, 1);
  if (total > MOST_ROWS) {
    const problem = `the grid has ${total} rows, more than ${MOST_ROWS}`;
    throw designError(problem, 'Take fewer factors, or name the rows in design.');
  }
  for (let index = 1; index < total; index += 1) {
    let rest = index;
    const levels = choices.flatMap((options) => {
      const chosen = options[rest % options.length];
      rest = Math.floor(rest / options.length);
      return chosen ? [chosen] : [];
    });
    yield { name: nameRow(levels, study), levels };
  }
}

function* listExplicit(
  study: LoadedStudy,
  design: Readonly<Record<string, Readonly<Record<string, string | true>>>>,
): Generator<RowDesign> {
  for (const [name, chosen] of Object.entries(design)) {
    const levels = Object.entries(chosen).map(([factor, level]) =>
      findLevel(study, { row: name, factor, level }),
    );
    yield { name, levels };
  }
}

function findLevel(
  { levels }: LoadedStudy,
  { row, factor, level }: { row: string; factor: string; level: string | true },
): Level {
  const known = levels.filter((each) => each.factor === factor);
  if (known.length === 0) {
    const fix = suggest(factor, [...new Set(levels.map((each) => each.factor))]);
    throw designError(`row '${row}': there is no factor '${factor}'`, fix);
  }
  const found = level === true ? known[0] : known.find(({ name }) => name === level);
  if (found && (level !== true || known.length === 1)) return found;
  const names = known.map(({ name }) => name);
  if (level === true) {
    const problem = `row '${row}': factor '${factor}' has ${known.length} levels`;
    throw designError(problem, `Name one: ${names.join(', ')}.`);
  }
  throw designError(
    `row '${row}': factor '${factor}' has no level '${level}'`,
    suggest(level, names),
  );
}

/** `level`, or `factor: level` where the level's name is another factor's level's too. */
function nameRow(levels: readonly Level[], study: LoadedStudy): string {
  const parts = levels.map(({ factor, name }) => {
    const alike = study.levels.filter((other) => other.name === name);
    return alike.length > 1 ? `${factor}: ${name}` : name;
  });
  return parts.join(' + ');
}

function designError(problem: string, fix: string): EspalierError {
  return new EspalierError('study/design', { problem, fix });
}
