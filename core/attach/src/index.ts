export { attach } from './attach.js';
export type { AttachedBatch, AttachedRun } from './attached-run.js';
export type { FunctionInOwnLoop, ModelInOwnLoop } from './own-loop.js';
export type { AttachOptions, Methods } from './options.js';
export type { TensorsOfTfjs } from './compiled-model.js';
