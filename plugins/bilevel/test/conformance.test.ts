import { bilevel } from '@espalier/plugin-bilevel';
import { testPlugin } from '@espalier/testkit';
import { softLabels } from './soft-labels.js';

const companions = () => [softLabels({ layer: 'hidden', features: [8] })];
const variables = ['soft-labels:*'];

testPlugin(bilevel, [
  { name: 'every step, on the next batch', options: { variables }, companions },
]);
