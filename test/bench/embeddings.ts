import { writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { toMarkdown, toSvg, toText } from '@espalier/report';
import { OURS } from './embeddings-ours.js';
import { listFigures } from './embeddings/aims.js';
import { prepareMatrices } from './embeddings/data.js';
import type { PreparedMatrix } from './embeddings/data.js';
import type { Method } from './embeddings/methods.js';
import { parseEmbeddingsOptions } from './embeddings/options.js';
import type { EmbeddingsOptions, EmbeddingsValues } from './embeddings/options.js';
import { PEERS } from './embeddings/peers.js';
import { overviewTable, OVERVIEWS, PLOTS, sizePlot, sizeTable } from './embeddings/report.js';
import { groupBy, Results } from './embeddings/results.js';
import { runRow } from './embeddings/run-row.js';
import type { Row, RowKey } from './embeddings/run-row.js';
import type { Figure } from './measure.js';
import { findPython, hasModule } from './python.js';

const METHODS: readonly Method[] = [...PEERS, ...OURS];

/** Something to run, or to find among the rows that are there. */
interface Trial {
  readonly matrix: PreparedMatrix;
  readonly method: Method;
  readonly key: RowKey;
}

/** Compressed vectors of ours beside those of others, at the same bytes; the options are in test/README.md. */
export async function benchEmbeddings(values: EmbeddingsValues): Promise<readonly Figure[]> {
  const options = parseEmbeddingsOptions(values, METHODS);
  const python = findPython();
  if (!python) throw new Error('The bench needs a Python with NumPy: npm run setup:python');
  const methods = listInstalled(options.methods, python);
  const matrices = await prepareMatrices(options);
  const results = new Results(options.out);
  const [rows, failures]: [Row[], string[]] = [[], []];
  for (const trial of listTrials(matrices, methods, options)) {
    try {
      const known = results.find(trial.key);
      const row = known ?? (options.report ? undefined : await run(python, trial, results));
      if (row) rows.push(row);
    } catch (error) {
      failures.push(`${nameOf(trial)}: ${(error as Error).message}`);
      console.log(`  FAILED ${failures.at(-1)}`);
    }
  }
  report(rows, options.out);
  if (failures.length > 0) throw new Error(`Some rows failed:\n${failures.join('\n')}`);
  return listFigures(rows);
}

/** Without those whose Python package is missing, which is said. */
function listInstalled(methods: readonly Method[], python: string): readonly Method[] {
  const modules = [...new Set(methods.flatMap(({ module }) => module ?? []))];
  const missing = modules.filter((module) => !hasModule(python, module));
  const left = methods.filter(({ module }) => module && missing.includes(module));
  if (left.length > 0) {
    const names = left.map(({ name }) => name).join(', ');
    console.log(`  left out: ${names} (Python has no ${missing.join(', ')}: npm run setup:python)`);
  }
  return methods.filter((method) => !left.includes(method));
}

function listTrials(
  matrices: readonly PreparedMatrix[],
  methods: readonly Method[],
  { sizes, asked }: EmbeddingsOptions,
): readonly Trial[] {
  return matrices.flatMap((matrix) =>
    sizes.flatMap((ratio) =>
      methods
        .filter(({ counts }) => !counts || matrix.counts)
        .map((method) => {
          const { name, hash } = matrix;
          return {
            matrix,
            method,
            key: { matrix: name, hash, ratio, method: method.name, ...asked },
          };
        }),
    ),
  );
}

const nameOf = ({ key }: Trial): string => `${key.matrix} ${key.ratio}×, ${key.method}`;

async function run(python: string, trial: Trial, results: Results): Promise<Row | undefined> {
  const { matrix, method, key } = trial;
  const { rows, columns } = matrix;
  const setting = method.choose({ rows, columns, ratio: key.ratio });
  if (!setting) return undefined;
  const row = await runRow(python, matrix, { ...method, setting }, key);
  const percent = (share: number | undefined) => `${(100 * (share ?? NaN)).toFixed(1)} %`;
  const kept = `${percent(row.all.mean)} of neighbours kept, ${percent(row.top?.mean)} of the top 5000`;
  const size = `${(row.input / row.bytes).toFixed(2)}×`;
  console.log(`  ${nameOf(trial)}: ${size}, ${kept}, ${row.seconds.toFixed(1)} CPU s`);
  results.add(row);
  return row;
}

/** Tables to the console; as Markdown, and plots of each matrix, beside the rows. */
function report(rows: readonly Row[], out: string): void {
  const base = out.slice(0, out.length - extname(out).length);
  const matrices = groupBy(rows, ({ matrix }) => matrix);
  const methods = METHODS.map(({ name }) => name);
  const tables = [
    ...matrices.flatMap((group) => OVERVIEWS.map((each) => overviewTable(group, methods, each))),
    ...groupBy(rows, ({ matrix, ratio }) => `${matrix} ${ratio}`).map(sizeTable),
  ];
  for (const each of tables) console.log(`\n${each.title}\n${toText(each)}`);
  const markdown = tables.map((each) => `**${each.title}**\n\n${toMarkdown(each)}`);
  writeFileSync(`${base}.md`, markdown.join('\n'));
  for (const group of matrices) {
    for (const plot of PLOTS) {
      const file = `${base}-${`${group[0]!.matrix} ${plot.name}`.replace(/\W+/g, '-')}.svg`;
      writeFileSync(file, toSvg(sizePlot(group, plot)));
      console.log(`plot: ${file}`);
    }
  }
}
