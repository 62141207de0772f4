export { consoleProgress } from './console-progress.js';
export type { ConsoleProgress, ConsoleProgressOptions } from './console-progress.js';
export { fileStore } from './file-store.js';
export type { FileOperations } from './file-store.js';
export { jsonlSink, readJsonl } from './jsonl.js';
export type { JsonlEvent, JsonlSink, JsonlSkip } from './jsonl.js';
