export type { TrainingFlags } from './model-watch.js';
export type { ForeignValues, ParameterSet } from './parameter-set.js';
export { Structure } from './structure.js';
export type { ModelSource } from './model-source.js';
export type { EditRecord } from './structure.js';
