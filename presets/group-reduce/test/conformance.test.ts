import { groupReduce, prune, quantizeOnly, svd, weightedSvd } from '@espalier/preset-group-reduce';
import { testPreset } from '@espalier/testkit';
import { counts, languageModel, LAYERS, text } from './models.js';

const run = { model: languageModel, session: { train: text(), validation: text() } };
const lowRank = { layers: LAYERS, ratio: 1.5 };
const quantizer = { minSize: 16 };

testPreset(groupReduce, [
  { name: 'words counted', ...run, options: { partition: { blocks: 3 }, lowRank, quantizer } },
]);
testPreset(svd, [{ name: 'both matrices', ...run, options: lowRank }]);
testPreset(weightedSvd, [{ name: 'counts given', ...run, options: { ...lowRank, counts } }]);
testPreset(prune, [{ name: 'both matrices', ...run, options: { layers: LAYERS, density: 0.4 } }]);
testPreset(quantizeOnly, [{ name: '4 bits', ...run, options: { ...quantizer, bits: 4 } }]);
