export { averageLogits, exitEnsemble } from './exit-ensemble.js';
export { labelGenerator } from './label-generator.js';
export type { LabelGeneratorOptions, LabelPyramidOptions } from './options.js';
export { buildLabelPyramid } from './pyramid.js';
export { ResizeTo } from './resize-to.js';
export type { ResizeMode, ResizeToArgs } from './resize-to.js';
export { TEACHER, teacher } from './teacher.js';
export type { Teacher } from './teacher.js';
export { uniformTargets } from './uniform-targets.js';
