export { countBytes } from './artifact/bytes.js';
export type { ArtifactBytes, StoredBytes } from './artifact/bytes.js';
export type { ArtifactManifest, ArtifactPlugin, FileEntry } from './artifact/manifest.js';
export { measureArtifact, packArtifact } from './artifact/pack.js';
export type { ArtifactContent, MeasuredModel } from './artifact/pack.js';
export { unpackArtifact } from './artifact/unpack.js';
export type { LoadedArtifact } from './artifact/unpack.js';
export { isFloat, toFloat32 } from './float32.js';
export { decodeNpy, encodeNpy } from './npy/npy.js';
export { pytorchLayers } from './pytorch/layers.js';
export type { PyTorchLayersOptions } from './pytorch/layers.js';
export { pytorchModules } from './pytorch/modules.js';
export type {
  PyTorchConv1d,
  PyTorchEmbedding,
  PyTorchKind,
  PyTorchLinear,
  PyTorchModule,
  PyTorchModules,
  PyTorchModulesOptions,
  PyTorchRecurrent,
  StateDict,
} from './pytorch/modules.js';
export { pytorchWeights } from './pytorch/weights.js';
export type { LayerWeights } from './pytorch/weights.js';
export { ResetAfterGRU, ResetAfterGRUCell } from './reset-after-gru.js';
export type { ResetAfterGRUArgs, ResetAfterGRUCellArgs } from './reset-after-gru.js';
