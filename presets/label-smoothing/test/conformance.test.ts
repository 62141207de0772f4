import { labelSmoothing } from '@espalier/preset-label-smoothing';
import { testPreset } from '@espalier/testkit';

testPreset(labelSmoothing, [{ name: 'half', options: { epsilon: 0.5 } }]);
