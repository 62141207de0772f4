import { prune } from '@espalier/plugin-prune';
import { testPlugin } from '@espalier/testkit';
import { wordModel } from '../../quantizer/test/models.js';
import { words } from './support.js';

testPlugin(prune, [
  { name: 'dense layers', options: { layers: ['hidden', 'logits'], density: 0.4 } },
  {
    name: 'words',
    options: { minSize: 100, budget: 1200 },
    model: wordModel,
    session: { train: words(), validation: words() },
  },
]);
