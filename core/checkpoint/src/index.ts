export { packCheckpoint, readTensors, toTensor, unpackCheckpoint } from './checkpoint.js';
export type { Checkpoint } from './checkpoint.js';
export { decodeSafetensors, encodeSafetensors } from './safetensors.js';
export type { HostTensor, Safetensors, SafetensorsDtype } from './safetensors.js';
export { loadLatest, memoryStore, saveCheckpoint } from './store.js';
export type { CheckpointStore, LoadedCheckpoint } from './store.js';
