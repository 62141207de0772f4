export { labelSmoothing } from './label-smoothing.js';
export { smoothLabels } from './smooth-labels.js';
