import './register.js';

export { automaticGranularity } from './granularity.js';
export type { Granularity, MatrixShape } from './granularity.js';
export { kMeans } from './k-means.js';
export { NF4_LEVELS } from './levels.js';
export type { Scheme } from './levels.js';
export type { QuantizerOptions } from './options.js';
export { pack, packedLength, unpack } from './packing.js';
export type { Bits } from './packing.js';
export { dequantize, quantize } from './quantize.js';
export type { Quantized, QuantizeOptions } from './quantize.js';
export { QuantizedConv2D, QuantizedDense, QuantizedEmbedding } from './quantized-layers.js';
export { quantizer } from './quantizer.js';
export type { Range } from './ranges.js';
export type { CodeConfig } from './storage-config.js';
