import { defineStudy } from '@espalier/study';

export default defineStudy({
  base: {
    model: './parts.js#model',
    data: { train: './parts.js#train', validation: './parts.js#validation' },
    batchSize: 4,
    plugins: { 'logit-penalty': { use: 'espalier-plugin-logit-penalty#logitPenalty' } },
    loss: 'cross-entropy',
    optimizer: { use: 'sgd', options: { learningRate: 0.1 } },
    epochs: 1,
    backend: { prefer: ['cpu'] },
  },
  factors: { 'no penalty': { drop: ['logit-penalty'] } },
  seeds: 2,
  primary: 'loss',
});
