// 60 short trials: 6 rows with 10 seeds each, a checkpoint an epoch. `announce` tells which processes
// there are to kill.
const parts = '../../../core/study/test/fixtures/parts.ts';

/** @type {import('@espalier/study').Study} */
export default {
  base: {
    model: { use: `${parts}#model`, options: { units: 8 } },
    data: {
      train: `${parts}#data`,
      validation: { use: `${parts}#data`, options: { name: 'validation' } },
    },
    batchSize: 10,
    preset: `${parts}#both`,
    plugins: {
      scaler: { use: `${parts}#scaler` },
      noise: { use: `${parts}#noise`, options: { size: 0.2 } },
      announce: { use: './announce.mjs#announce' },
    },
    loss: 'cross-entropy',
    optimizer: { use: 'adam', options: { learningRate: 0.01 } },
    epochs: 4,
    backend: { prefer: ['cpu'] },
  },
  factors: {
    scaler: { drop: 'scaler' },
    noise: { 'no noise': { drop: 'noise' }, loud: { set: { 'plugins.noise.options.size': 1 } } },
    width: {
      narrow: { set: { 'model.options.units': 4 } },
      wide: { set: { 'model.options.units': 16 } },
    },
  },
  seeds: 10,
  primary: 'accuracy',
};
