export { defineConfig } from './config.js';
export type { Config, OptimizerReference, Reference, SourceConfig } from './config.js';
export { main } from './main.js';
export { jsonSchema } from './schema.js';
