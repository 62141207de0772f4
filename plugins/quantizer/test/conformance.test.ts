import { quantizer } from '@espalier/plugin-quantizer';
import { testPlugin, tinyCnn, tinyMlp } from '@espalier/testkit';

testPlugin(quantizer, [
  { name: 'every layer', options: { minimumSize: 1 } },
  { name: 'convolutions, 4 bits', options: { minimumSize: 1, bits: 4 }, model: tinyCnn },
  { name: 'aware', options: { minimumSize: 1, bits: 3, aware: true }, model: tinyMlp },
]);
