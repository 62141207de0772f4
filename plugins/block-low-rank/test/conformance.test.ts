import {
  blockCodes,
  blockLowRank,
  rankRule,
  wordImportance,
} from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { testPlugin } from '@espalier/testkit';
import { tinyLanguageModel, tinyText, zipf } from './models.js';

const run = {
  model: () => tinyLanguageModel({ words: 24, columns: 4 }),
  session: { train: tinyText({ words: 24 }), validation: tinyText({ words: 24 }) },
};
const counts = [...zipf(24)];

testPlugin(blockLowRank, [
  { name: 'one block', ...run, options: { minSize: 50, ratio: 1.3 } },
  {
    name: 'blocks by counts',
    ...run,
    options: { minSize: 50, ratio: 1.3, layers: ['softmax'] },
    companions: () => [vocabPartition({ counts, blocks: 2 }), wordImportance(), rankRule()],
  },
]);

testPlugin(rankRule, [{ name: 'defaults' }]);

testPlugin(wordImportance, [{ name: 'counts', ...run }]);

const larger = {
  model: () => tinyLanguageModel({ words: 120, columns: 8 }),
  session: { train: tinyText({ words: 120 }), validation: tinyText({ words: 120 }) },
};

testPlugin(blockCodes, [
  { name: 'aware', ...larger, options: { ratio: 3, minSize: 400, qat: true } },
]);
