export { defineConfig, jsonSchema } from '@espalier/config';
export type { Config, OptimizerReference, Reference, SourceConfig } from '@espalier/config';
export { main } from './main.js';
