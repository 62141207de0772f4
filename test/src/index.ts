export * from './backends.js';
export * from './compare.js';
export * from './fail.js';
export * from './fixtures.js';
export * from './leaks.js';
export * from './numeric.js';
export { trainInOwnLoop } from './own-loop.js';
export { openSession } from './subject.js';
export type {
  AnyFactory,
  AnyPreset,
  Case,
  PluginSubject,
  PresetSubject,
  Subject,
} from './subject.js';
export { CHECKS, testPlugin } from './test-plugin.js';
export type { TestPluginOptions } from './test-plugin.js';
export { PRESET_CHECKS, testPreset } from './test-preset.js';
export { watch } from './watch.js';
export type { Watched } from './watch.js';
