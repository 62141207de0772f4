import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { attach } from '@espalier/attach';
import {
  appendLayers,
  arraySource,
  createSession,
  crossEntropy,
  definePlugin,
  EspalierError,
  fromTfOptimizer,
  replaceLayer,
  sgd,
  tfjs,
} from '@espalier/core';
import type { Effects, Plugin, PluginContext, RawBatch, SessionConfig } from '@espalier/core';
import { liveTensors, onBackend, tinyMlp, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type * as Layers from '@tensorflow/tfjs-layers';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Copy {
  readonly tf: typeof tf;
  readonly layers: typeof Layers;
}

let script = '';
/** With an engine of its own, as in another frame, and without touching the one in use. */
let apart: Copy;
let folder = '';

beforeAll(async () => {
  await onBackend('cpu');
  const { outputFiles } = await build({
    stdin: {
      contents: `export * as tf from '@tensorflow/tfjs-core';
        export * as layers from '@tensorflow/tfjs-layers';
        import '@tensorflow/tfjs-backend-cpu';`,
      resolveDir: root,
    },
    ...{ bundle: true, format: 'cjs', platform: 'node', mainFields: ['module', 'main'] },
    ...{ write: false, logLevel: 'silent' },
  });
  script = outputFiles[0]!.text;
  folder = await mkdtemp(join(tmpdir(), 'espalier-copies-'));
  await writeFile(join(folder, 'second.cjs'), script);
  const module = { exports: {} as Copy };
  const frame = { window: {}, module, exports: module.exports, require: createRequire(root) };
  runInContext(
    script,
    createContext({ ...frame, console: mute, process, performance, TextEncoder }),
  );
  apart = module.exports;
  await apart.tf.setBackend('cpu');
});
afterAll(() => rm(folder, { recursive: true }));

const mute = { ...console, warn: () => undefined };

const EVERYTHING: Effects = {
  ...{ batch: 'modify', targets: 'modify', loss: 'add', gradients: 'modify', structure: 'modify' },
  'weights:*': 'modify',
};

type Context = PluginContext<typeof EVERYTHING>;

const plugin = (apply: (ctx: Context) => void): Plugin =>
  definePlugin({
    ...{ id: 'foreign', version: '1.0.0', options: z.strictObject({}), stateless: true },
    effects: EVERYTHING,
    apply: apply as never,
  })();

const open = (more: Partial<SessionConfig> = {}) =>
  createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ examples: 4 }),
    ...more,
  });

async function refusal(work: () => unknown): Promise<EspalierError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(EspalierError);
    return error as EspalierError;
  }
  throw new Error('it was not refused');
}

const fitted = (more: Partial<SessionConfig>) => () =>
  withSession(open(more), (session) => session.fit({ epochs: 1 }));
const tapped = (apply: (ctx: Context) => void) => fitted({ plugins: [plugin(apply)] });

/** What another copy made, given to whatever takes it. */
const CASES: Readonly<Record<string, [() => Promise<unknown>, RegExp]>> = {
  'an attached model': [() => attach(foreignModel() as never), /the model comes/],
  'the model of an attached loop': [
    () => attach({ model: foreignModel() as never, loss: 'meanSquaredError' }),
    /the model comes/,
  ],
  'the model': [() => open({ model: foreignModel() as never }), /the model comes/],
  'the model of a function': [() => open({ model: foreignModel as never }), /the model comes/],
  'inputs of a step': [
    () => withSession(open(), (session) => session.step({ x: foreign([4, 6]), y: ids() })),
    /'hidden_input' of the batch comes/,
  ],
  'targets of a step': [
    () => withSession(open(), (session) => session.step({ x: ones([4, 6]), y: foreign([4]) })),
    /'logits' of the batch comes/,
  ],
  'weights of a step': [
    () => {
      const raw = { x: ones([4, 6]), y: ids(), weights: foreign([4]) as Tensor1D };
      return withSession(open(), (session) => session.step(raw));
    },
    /'weights' of the batch comes/,
  ],
  'inputs to predict': [
    () => withSession(open(), (session) => session.predict(foreign([4, 6]))),
    /'hidden_input' of the batch comes/,
  ],
  'what a source gives': [
    fitted({ train: { ...tinySource(), iterate: batchesApart } }),
    /of the batch comes/,
  ],
  'what a batch tap returns': [
    tapped((ctx) =>
      ctx.hooks.batch.tap(async (batch) => ({
        ...batch,
        inputs: { hidden_input: foreign([4, 6]) },
      })),
    ),
    /\[plugin foreign\] batch .*'hidden_input' that this tap returned/,
  ],
  'what a targets tap returns': [
    tapped((ctx) => ctx.hooks.targets.tap(() => ({ logits: foreign([4]) }))),
    /\[plugin foreign\] targets .*'logits' that this tap returned/,
  ],
  'a loss term': [
    tapped((ctx) => ctx.hooks.loss.tap(({ terms }) => terms.add('x', foreign([]) as tf.Scalar))),
    /\[plugin foreign\] loss .*the loss term 'foreign\/x'/,
  ],
  'values given to mean': [
    tapped((ctx) => ctx.hooks.loss.tap(({ mean }) => void mean(foreign([4]) as Tensor1D))),
    /\[plugin foreign\] loss .*what mean was given/,
  ],
  'what a gradients tap returns': [
    tapped((ctx) =>
      ctx.hooks.gradients.tap((all) => ({ ...all, 'hidden/kernel': foreign([6, 8]) })),
    ),
    /\[plugin foreign\] gradients .*'hidden\/kernel' that this tap returned/,
  ],
  'what a plugin assigns': [
    tapped((ctx) => ctx.hooks.afterApply.tap(() => ctx.assign({ 'hidden/bias': foreign([8]) }))),
    /\[plugin foreign\] afterApply .*the value for 'hidden\/bias'/,
  ],
  'a metric': [
    () =>
      withSession(
        open({
          plugins: [
            plugin((ctx) =>
              ctx.hooks.evaluate.tap(({ metric }) => metric('m', foreign([4]) as Tensor1D)),
            ),
          ],
        }),
        (session) => session.evaluate(tinySource({ examples: 4 })),
      ),
    /\[plugin foreign\] evaluate.*the metric 'm'/,
  ],
  'values of a loss': [
    fitted({
      loss: {
        ...{ name: 'mine', classIds: true, metrics: () => ({}) },
        perExample: () => foreign([4]) as Tensor1D,
      },
    }),
    /what the loss 'mine' of output 'logits' gives/,
  ],
  'an optimizer': [
    fitted({ optimizer: fromTfOptimizer(() => apart.tf.train.sgd(0.1)) }),
    /the optimizer comes/,
  ],
  'an optimizer to convert': [
    async () => tfjs.convert(apart.tf.train.adam(0.1)),
    /the optimizer comes/,
  ],
  'an appended layer': [
    () =>
      open({
        plugins: [
          plugin((ctx) =>
            ctx.edit((graph) =>
              appendLayers(graph, { after: 'logits', layers: [foreignLayer()], output: true }),
            ),
          ),
        ],
      }),
    /\[plugin foreign\] apply: the layer 'strange' comes/,
  ],
  'a layer in the place of another': [
    () =>
      open({
        plugins: [
          plugin((ctx) => ctx.edit((graph) => replaceLayer(graph, 'hidden', foreignLayer()))),
        ],
      }),
    /\[plugin foreign\] apply: the layer 'strange' comes/,
  ],
  'weights for a layer': [
    () =>
      open({
        plugins: [
          plugin((ctx) =>
            ctx.edit((graph) => ({ ...graph, weights: { 'hidden/bias': foreign([8]) } })),
          ),
        ],
      }),
    /\[plugin foreign\] apply: the weight 'hidden\/bias' comes/,
  ],
  'a network of a plugin’s own': [
    () => open({ plugins: [plugin((ctx) => ctx.addNetwork(foreignModel as never))] }),
    /\[plugin foreign\] apply: the model comes/,
  ],
};

const foreign = (shape: number[]): Tensor => apart.tf.ones(shape);
const foreignLayer = () => apart.layers.layers.dense({ units: 8, name: 'strange' }) as never;
const foreignModel = () =>
  apart.layers.sequential({ layers: [apart.layers.layers.dense({ units: 3, inputShape: [6] })] });

const kept: Tensor[] = [];
const keep = <T extends Tensor>(tensor: T): T => {
  kept.push(tensor);
  return tensor;
};
const ones = (shape: number[]) => keep(tf.ones(shape));
const ids = () => keep(tf.tensor1d([0, 1, 2, 0], 'int32'));

async function* batchesApart(): AsyncGenerator<RawBatch> {
  yield { x: foreign([4, 6]), y: foreign([4]) };
}

test.each(Object.entries(CASES))(
  '%s of another copy is refused by name',
  async (_name, [act, text]) => {
    const live = liveTensors();
    const { code, message } = await refusal(act);
    tf.dispose(kept.splice(0));
    expect(message).toMatch(text);
    expect(message).toContain('two copies are loaded');
    expect(message).toContain('npm dedupe');
    expect(code).toBe('session/two-tfjs');
    expect(liveTensors()).toBe(live);
  },
);

test.each(['useBackend', 'createSession'])('a copy that was loaded first is found by %s', (by) => {
  const program = `
    require(${JSON.stringify(join(folder, 'second.cjs'))});
    const act = async () => {
      const { createSession, crossEntropy, sgd } = await import('@espalier/core');
      const { useBackend } = await import('@espalier/backend');
      const { sequential, layers } = await import('@tensorflow/tfjs-layers');
      const backend = { line: 'cpu', name: 'cpu', backend: 'cpu' };
      const model = () => sequential({ layers: [layers.dense({ units: 3, inputShape: [6] })] });
      const config = { model, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }), backend };
      await (${JSON.stringify(by)} === 'useBackend' ? useBackend({ prefer: 'cpu' }) : createSession(config));
    };
    act().catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
  const args = ['--no-warnings', '-e', program];
  const { stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
    code: 'backend/second-core',
    message: expect.stringContaining('another copy was loaded first'),
  });
});

// The whole comes with the native package: npm run test:native has it.
const hasWhole = existsSync(join(root, 'node_modules/@tensorflow/tfjs-node-gpu/package.json'));
test.skipIf(!hasWhole)(
  'the whole of TensorFlow.js, loaded after Espalier and on the copy in use, is no other copy',
  () => {
    const program = `
    const { createRequire } = require('node:module');
    const act = async () => {
      const { arraySource, createSession, crossEntropy, sgd } = await import('@espalier/core');
      const whole = createRequire(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));
      const { sequential, layers } = whole('@tensorflow/tfjs');
      const model = () => sequential({ layers: [layers.dense({ units: 3, inputShape: [6] })] });
      const x = { data: new Float32Array(12), shape: [2, 6] };
      const train = arraySource({ x, y: { data: new Int32Array(2), shape: [2] }, batchSize: 2 });
      const parts = { model, train, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }) };
      const session = await createSession({ ...parts, backend: { prefer: 'cpu' } });
      console.log((await session.fit({ epochs: 1 })).status);
    };
    act().catch((error) => console.log(error.message));`;
    const args = ['--no-warnings', '-e', program];
    const { stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    expect(stdout.trim().split('\n').at(-1)).toBe('completed');
  },
);

// From here on, this process has two copies.
describe('a copy that a plugin brings along', () => {
  const bring = (): void => {
    const { warn } = console;
    console.warn = () => undefined;
    try {
      new Function('require', 'module', 'exports', script)(
        createRequire(root),
        { exports: {} },
        {},
      );
    } finally {
      console.warn = warn;
    }
  };

  test('in the midst of a fit is found at the next step, whatever the backend', async () => {
    let steps = 0;
    const bringing = plugin((ctx) => {
      ctx.hooks.afterStep.tap(async () => {
        steps += 1;
        if (steps === 2) bring();
      });
    });
    const source = arraySource({
      ...{ x: { data: new Float32Array(60), shape: [10, 6] }, batchSize: 2 },
      y: { data: new Int32Array(10), shape: [10] },
    });
    const error = await refusal(fitted({ plugins: [bringing], train: source }));
    expect(error.code).toBe('session/two-tfjs');
    expect(error.message).toContain('what was loaded last comes from another copy');
    expect(steps).toBe(2);
  });

  test.each(['cpu', 'wasm'] as const)(
    'is found by createSession on %s, chosen or given',
    async (name) => {
      const given = { line: name, name, backend: name };
      for (const backend of [{ prefer: [name] }, given, undefined]) {
        const { code } = await refusal(() => open({ backend: backend as never }));
        expect(code).toBe('session/two-tfjs');
      }
    },
  );
});

test('an error of another copy of Espalier is an instance of the class, and keeps its code', async () => {
  vi.resetModules();
  const again = await import('@espalier/base');
  expect(again.EspalierError).not.toBe(EspalierError);
  const theirs = new again.EspalierError('area/what', { problem: 'wrong' });
  expect(theirs).toBeInstanceOf(EspalierError);
  expect(theirs.withPlace({ plugin: 'p', hook: 'h' })).toMatchObject({ code: 'area/what' });
  for (const other of [new Error('wrong'), { ...theirs }, 'wrong', null, undefined]) {
    expect(other).not.toBeInstanceOf(EspalierError);
  }
});
