import './register.js';

export { fakeQuantize } from './fake-quantize.js';
export { automaticGranularity } from './granularity.js';
export type { Granularity } from './granularity.js';
export { kMeans } from './k-means.js';
export { NF4_LEVELS } from './levels.js';
export type { Scheme } from './levels.js';
export type { QuantizerOptions } from './options.js';
export { pack, packedLength, unpack } from './packing.js';
export type { Bits } from './packing.js';
export { dequantize, quantize, quantizeWithSteps } from './quantize.js';
export type { Quantized, QuantizeOptions } from './quantize.js';
export { quantizer } from './quantizer.js';
export type { Range } from './ranges.js';
export type { CodeConfig, FakeConfig } from './storage-config.js';
