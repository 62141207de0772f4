import { onBackend } from '@espalier/testkit';
import { expect, test } from 'vitest';
import { compareAttached, programOf } from './attached.js';
import type { Program } from './attached.js';
import { callbacks } from './callbacks.js';
import { features } from './features.js';
import { fits } from './fits.js';
import { EXCLUDED, layerClasses, measured } from './layers.js';
import { losses, METRICS, metrics, optimizers } from './losses.js';
import { boundOf, compare } from './measure.js';
import type { Training } from './measure.js';
import { codeOf, refusals } from './refusals.js';
import { expectTables, keysInTfjs, pageOf, table } from './tables.js';

// A session is measured on cpu; what users attach runs on wasm, whose kernels round otherwise when they are fused.
const onCpu = () => onBackend('cpu');
const onWasm = () => onBackend('wasm');

const expectMoved = (what: string, moved: number) =>
  expect(moved, `weights of '${what}' move`).toBeGreaterThan(1e-4);

async function measureSessions(trainings: readonly (readonly [string, Training])[]) {
  const rows: [string, string][] = [];
  for (const [name, training] of trainings) {
    const { difference, moved } = await compare(training);
    expectMoved(name, moved);
    rows.push([name, boundOf(difference)]);
  }
  return table(['what', 'largest difference'], rows);
}

async function measureAttached(head: string, programs: readonly (readonly [string, Program])[]) {
  const rows: [string, string, string][] = [];
  for (const [name, program] of programs) {
    const { weights, seen, moved } = await compareAttached(program);
    expectMoved(name, moved);
    rows.push([name, boundOf(weights), boundOf(seen)]);
  }
  return table([head, 'weights', 'numbers seen'], rows);
}

const asPrograms = (trainings: readonly (readonly [string, Training])[]) =>
  trainings.map(([name, training]) => [name, programOf(training)] as const);

/** Whether no other table of an attached model has the row. */
const isNew = ([name]: readonly [string, unknown]) =>
  !/^(class|loss|optimizer (ada|sgd|rmsprop$)|validation)/.test(name);

test('every layer class of tfjs is measured, or excluded with a reason', () => {
  const named = [...measured.map(([name]) => name), ...Object.keys(EXCLUDED)];
  expect(named.sort()).toEqual([...layerClasses()].sort());
});

test('every loss, metric and optimizer that tfjs knows by name is measured', async () => {
  const names = (programs: readonly (readonly [string, Program])[]) =>
    programs.map(([name]) => name);
  expect(names(losses)).toEqual(await keysInTfjs('losses', 'lossesMap'));
  const known = await keysInTfjs('optimizers', 'optimizerMap');
  expect(names(optimizers)).toEqual(known.map((name) => name.toLowerCase()));
  const told = Object.values(METRICS).flatMap(([, , , named]) => named);
  expect([...new Set(told)]).toEqual(
    expect.arrayContaining([...(await keysInTfjs('metrics', 'metricsMap'))]),
  );
});

test('the table says how near a session comes to LayersModel.fit', async () => {
  await onCpu();
  await expectTables(pageOf('trainer/EQUALITY.md'), { features: await measureSessions(features) });
});

test('the tables say how near an attached model comes to what it was', async () => {
  await onWasm();
  await expectTables(pageOf('attach/EQUALITY.md'), {
    losses: await measureAttached('loss', losses),
    optimizers: await measureAttached('optimizer', optimizers),
    metrics: await measureAttached('metrics', metrics),
    training: await measureAttached('what the program does', fits),
    callbacks: await measureAttached('callback', callbacks),
    features: await measureAttached('what the model has', asPrograms(features.filter(isNew))),
    layers: await measureAttached('layer class', asPrograms(measured)),
    excluded: table(['not measured', 'why'], Object.entries(EXCLUDED)),
  });
});

test('the README says what is refused, by which code, and what to do instead', async () => {
  await onCpu();
  const rows: string[][] = [];
  for (const { what, attempt, instead } of refusals) {
    rows.push([what, `\`${await codeOf(attempt)}\``, instead]);
  }
  await expectTables(pageOf('trainer/README.md'), {
    refused: table(['what', 'code', 'instead'], rows),
  });
});
