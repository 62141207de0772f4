/**
 * How long to train, on validation data: plain networks for more and more epochs.
 * `npm run build && DATA=path/to/cifar-100-binary node examples/dist/metadistiller/pilot.js`
 */
import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy } from '@espalier/core';
import { randomCrop, randomFlip } from '@espalier/plugin-augmentation';
import { table, toText } from '@espalier/report';
import { train, validation } from '../cifar/data.js';
import { overSeeds } from '../digits/result.js';
import { machineLine } from '../machine.js';
import { resnet } from '../networks/resnet.js';
import { runMissing } from './records.js';
import type { Recorded } from './records.js';
import { measuredImages, network, optimizer, SHIFT, trainingImages } from './setting.js';

const FILE = 'examples/metadistiller/pilot.jsonl';
const SEEDS = [101, 102];
/** Epochs and learning rates. */
const RUNS = [
  [20, 0.1],
  [40, 0.1],
  [80, 0.1],
  [40, 0.05],
  [40, 0.2],
  [60, 0.1],
  [160, 0.1],
] as const;
/** Nearly all that there are. */
const VALIDATION_PER_CLASS = 40;

type Setting = { readonly epochs: number; readonly rate: number; readonly seed: number };

const held = validation(measuredImages(VALIDATION_PER_CLASS));
const settings = SEEDS.flatMap((seed) => RUNS.map(([epochs, rate]) => ({ epochs, rate, seed })));
const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
report(await runMissing(FILE, machineLine(backend), settings, trained));

async function trained({ epochs, rate, seed }: Setting) {
  const images = train(trainingImages(seed));
  const session = await createSession({
    model: () => resnet(network),
    plugins: [randomCrop({ padding: SHIFT }), randomFlip()],
    loss: crossEntropy(),
    optimizer: optimizer(rate, epochs),
    train: images,
    seed,
  });
  const started = performance.now();
  await session.fit({ epochs });
  const seconds = (performance.now() - started) / 1000;
  const [fitted, unseen] = [await session.evaluate(images), await session.evaluate(held)];
  await session.dispose();
  return {
    'training accuracy': fitted['accuracy']!,
    'training loss': fitted['loss']!,
    accuracy: unseen['accuracy']!,
    loss: unseen['loss']!,
    seconds,
  };
}

function report(runs: readonly Recorded<Setting>[]): void {
  const percent = { style: 'percent', digits: 2 } as const;
  const rows = RUNS.map(([epochs, rate]) => {
    const own = runs.filter((run) => run.epochs === epochs && run.rate === rate);
    const mean = (name: string) => overSeeds(own.map((run) => run[name] as number));
    const measured = ['training accuracy', 'accuracy', 'seconds'];
    return { epochs, rate, ...Object.fromEntries(measured.map((name) => [name, mean(name)])) };
  });
  const columns = [
    { key: 'epochs', label: 'epochs' },
    { key: 'rate', label: 'learning rate' },
    { key: 'training accuracy', label: 'training accuracy', format: percent },
    { key: 'accuracy', label: 'validation accuracy', format: percent },
    { key: 'seconds', label: 'seconds', format: { style: 'fixed', digits: 0 } as const },
  ];
  console.log(`${machineLine(backend)}
Plain, seeds ${SEEDS.join(', ')}: mean [lowest, highest]
${toText(table({ columns, rows }))}`);
}
