import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { testPlugin } from '@espalier/testkit';
import { tinyWords, wrappingWordModel } from './models.js';

const words = {
  model: wrappingWordModel,
  session: { train: tinyWords(), validation: tinyWords() },
};

testPlugin(vocabPartition, [
  { name: 'observed counts', ...words },
  { name: 'given counts', options: { counts: [3, 1, 2, 0], blocks: 'auto', refine: false } },
  {
    name: 'counts by word',
    options: { counts: { the: 3, of: 2 }, vocabulary: ['of', 'the', 'a'], method: 'k-means' },
  },
  { name: 'cut-offs', ...words, options: { input: 'tokens', method: 'cut-offs', cutoffs: [2, 5] } },
]);
