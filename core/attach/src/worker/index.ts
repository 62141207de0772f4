export type { FitProgress } from './fit-reporter.js';
export type { TrainingEnd, TrainingWarning } from './messages.js';
export { getModelArtifacts } from './model-artifacts.js';
export { serveTraining } from './serve-training.js';
export type { Report, TrainingContext, TrainingTask, WorkerScope } from './serve-training.js';
export { trainInWorker } from './train-in-worker.js';
export type { TrainingResult, TrainInWorkerOptions } from './train-in-worker.js';
export type { TrainingWorker } from './worker-events.js';
