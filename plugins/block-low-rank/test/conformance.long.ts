import {
  blockCodes,
  blockLowRank,
  rankRule,
  wordImportance,
} from '@espalier/plugin-block-low-rank';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { testPlugin } from '@espalier/testkit';
import { tinyLanguageModel, tinyText, zipf } from './models.js';

const withWords = (words: number, columns: number) => ({
  model: () => tinyLanguageModel({ words, columns }),
  session: { train: tinyText({ words }), validation: tinyText({ words }) },
});

testPlugin(rankRule, [{ name: 'paper', options: { rule: 'proportional' } }]);

testPlugin(wordImportance, [
  {
    name: 'Fisher and hidden states',
    ...withWords(24, 4),
    options: { rows: 'fisher', metric: 'hidden-covariance', softmax: 'softmax' },
    companions: () => [blockLowRank({ minSize: 50, ratio: 1.3 })],
  },
]);

testPlugin(blockCodes, [
  {
    name: 'by the order of words',
    ...withWords(120, 8),
    options: { ratio: 3, minSize: 400 },
  },
  {
    name: 'by counts and importance',
    ...withWords(120, 8),
    options: { ratio: 3, minSize: 400, objective: { importance: 0.9, neighbours: 0.1 } },
    companions: () => [vocabPartition({ counts: [...zipf(120)] }), wordImportance({ power: 0.5 })],
  },
]);
