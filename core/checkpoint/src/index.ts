export { packCheckpoint, readTensors, toTensor, unpackCheckpoint } from './checkpoint.js';
export type { Checkpoint } from './checkpoint.js';
export { arrayTypeOf, countElements } from './host-tensor.js';
export type { HostTensor, SafetensorsDtype } from './host-tensor.js';
export { measureSafetensorsHeader, readSafetensorsHeader } from './safetensors-header.js';
export type { SafetensorsEntry, SafetensorsHeader } from './safetensors-header.js';
export {
  decodeSafetensors,
  encodeSafetensors,
  encodeSafetensorsHeader,
  sortByWidth,
} from './safetensors.js';
export type { DescribedTensor, Safetensors } from './safetensors.js';
export { loadLatest, memoryStore, saveCheckpoint } from './store.js';
export type { CheckpointStore, LoadedCheckpoint } from './store.js';
