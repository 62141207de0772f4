/**
 * What an epoch of each row costs, in seconds of one core, after a first one that is not counted.
 * `npm run build && DATA=path/to/cifar-100-binary node examples/dist/metadistiller/costs.js`
 */
import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy } from '@espalier/core';
import type { Preset } from '@espalier/core';
import { table, toText } from '@espalier/report';
import { train } from '../cifar/data.js';
import { overSeeds } from '../digits/result.js';
import { machineLine } from '../machine.js';
import { resnet } from '../networks/resnet.js';
import { runMissing } from './records.js';
import { plain, ROWS } from './rows.js';
import { network, optimizer, trainingImages } from './setting.js';

const FILE = 'examples/metadistiller/costs.jsonl';
const REPEATS = [1, 2, 3];
/** Whatever a row does only some steps after the start has begun by then. */
const WARMUP_EPOCHS = 2;
const presets: Readonly<Record<string, Preset>> = { plain, ...ROWS };
const settings = REPEATS.flatMap((repeat) => Object.keys(presets).map((row) => ({ row, repeat })));

const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
const runs = await runMissing(FILE, machineLine(backend), settings, async ({ row, repeat }) => ({
  'CPU seconds': await secondsOf(presets[row]!, repeat),
}));
const rows = Object.keys(presets).map((row) => {
  const own = runs.filter((run) => run.row === row);
  return { row, seconds: overSeeds(own.map((run) => run['CPU seconds'])) };
});
const format = { style: 'fixed', digits: 1 } as const;
const columns = [
  { key: 'row', label: 'row' },
  { key: 'seconds', label: 'CPU seconds of an epoch', format },
];
console.log(`${machineLine(backend)}\n${toText(table({ columns, rows }))}`);

async function secondsOf(preset: Preset, seed: number): Promise<number> {
  const session = await createSession({
    model: () => resnet(network),
    preset,
    loss: crossEntropy(),
    optimizer: optimizer(0.1, WARMUP_EPOCHS + 1),
    train: train(trainingImages(seed)),
    seed,
  });
  await session.fit({ epochs: WARMUP_EPOCHS });
  const before = process.cpuUsage();
  await session.fit({ epochs: 1 });
  const { user, system } = process.cpuUsage(before);
  await session.dispose();
  return (user + system) / 1e6;
}
