/**
 * How long to train, on validation data: plain networks for more and more epochs.
 * Goes on where it stopped. `npm run build && DATA=path/to/cifar-100-binary node examples/dist/metadistiller/pilot.js`
 */
import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
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
const EPOCHS = [20, 40, 60, 80, 120, 160];
const RATE = 0.1;
/** Nearly all that there are. */
const VALIDATION_PER_CLASS = 40;

type Setting = Readonly<Record<'epochs' | 'rate' | 'seed', number>>;
type Measured = 'training accuracy' | 'training loss' | 'accuracy' | 'loss';

const held = validation(measuredImages(VALIDATION_PER_CLASS));
const settings = EPOCHS.flatMap((epochs) => SEEDS.map((seed) => ({ epochs, rate: RATE, seed })));
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
    checkpoint: { store: fileStore(`runs/pilot/${epochs}-epochs-${rate}-seed-${seed}`), keep: 1 },
  });
  await session.load();
  await session.fit({ untilEpoch: epochs });
  const [fitted, unseen] = [await session.evaluate(images), await session.evaluate(held)];
  await session.dispose();
  return {
    'training accuracy': fitted['accuracy']!,
    'training loss': fitted['loss']!,
    accuracy: unseen['accuracy']!,
    loss: unseen['loss']!,
  };
}

function report(runs: readonly Recorded<Setting, Measured>[]): void {
  const percent = { style: 'percent', digits: 2 } as const;
  const rows = EPOCHS.map((epochs) => {
    const own = runs.filter((run) => run.epochs === epochs);
    const mean = (name: Measured) => overSeeds(own.map((run) => run[name]));
    const [fitted, unseen] = [mean('training accuracy'), mean('accuracy')];
    return { epochs, fitted, unseen };
  });
  const columns = [
    { key: 'epochs', label: 'epochs' },
    { key: 'fitted', label: 'training accuracy', format: percent },
    { key: 'unseen', label: 'validation accuracy', format: percent },
  ];
  console.log(`${machineLine(backend)}
Plain, learning rate ${RATE}, seeds ${SEEDS.join(', ')}: mean [lowest, highest]
${toText(table({ columns, rows }))}`);
}
