export { consoleProgress } from './console-progress.js';
export type { ConsoleProgress, ConsoleProgressOptions } from './console-progress.js';
export { jsonlSink, readJsonl } from './jsonl.js';
export type { JsonlEvent, JsonlSink, JsonlSkip } from './jsonl.js';
