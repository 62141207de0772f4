export { byot } from './byot.js';
export type { ByotOptions } from './byot.js';
export { deeplySupervised } from './deeply-supervised.js';
export type { DeeplySupervisedOptions } from './deeply-supervised.js';
export { kd } from './kd.js';
export type { KdOptions } from './kd.js';
export { labelSmoothing } from './label-smoothing.js';
export type { LabelSmoothingOptions } from './label-smoothing.js';
