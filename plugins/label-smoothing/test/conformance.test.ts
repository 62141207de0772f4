import { labelSmoothing } from '@espalier/plugin-label-smoothing';
import { testPlugin } from '@espalier/testkit';

testPlugin(labelSmoothing, [{ name: 'defaults' }]);
