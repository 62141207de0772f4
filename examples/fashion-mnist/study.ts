/** Four ways to train one small network, compared: `npx espalier study run examples/fashion-mnist/study.ts`. */
import { defineStudy } from '@espalier/study';

const epochs = 12;
const learningRate = { schedule: 'cosine', initial: 0.05, steps: epochs * 63 };
const at = { at: ['stage1', 'stage2'] };
/** 200 images of each of ten classes. */
const split = (name: string) => ({ use: `./data.ts#${name}`, options: { perClass: 200 } });
const preset = (name: string, options = {}) => ({ preset: { use: name, options } });

export default defineStudy({
  name: 'fashion-mnist',
  base: {
    model: '../digits/network.ts#residualNetwork',
    data: { train: split('train'), validation: split('validation'), test: './data.ts#test' },
    batchSize: 32,
    epochs,
    loss: 'cross-entropy',
    optimizer: { use: 'sgd', options: { learningRate, momentum: 0.9, weightDecay: 5e-4 } },
    backend: { prefer: ['wasm'] },
  },
  factors: {
    method: {
      'label smoothing': preset('@espalier/preset-baselines#labelSmoothing'),
      'deeply supervised': preset('@espalier/preset-baselines#deeplySupervised', at),
      BYOT: preset('@espalier/preset-baselines#byot', at),
    },
  },
  seeds: 10,
  primary: 'accuracy',
  metrics: ['loss'],
  dir: '../../runs/fashion-mnist',
});
