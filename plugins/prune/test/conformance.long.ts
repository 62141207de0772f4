import { prune } from '@espalier/plugin-prune';
import { testPlugin, tinyCnn } from '@espalier/testkit';

testPlugin(prune, [
  { name: 'convolutions', options: { layers: ['stage2', 'stage3'], ratio: 2 }, model: tinyCnn },
]);
