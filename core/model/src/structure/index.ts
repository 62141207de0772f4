export type { ParameterSet } from './parameter-set.js';
export { Structure } from './structure.js';
export type { EditRecord, InitialStream, ModelSource } from './structure.js';
