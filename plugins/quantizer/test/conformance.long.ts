import { quantizer } from '@espalier/plugin-quantizer';
import { testPlugin, tinyCnn } from '@espalier/testkit';

testPlugin(quantizer, [
  { name: 'convolutions, 4 bits', options: { minSize: 1, bits: 4 }, model: tinyCnn },
]);
