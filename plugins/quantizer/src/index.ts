import './register.js';

export { fakeQuantize } from './maths/fake-quantize.js';
export { automaticGranularity } from './maths/granularity.js';
export type { Granularity } from './maths/granularity.js';
export { kMeans } from './maths/k-means.js';
export { NF4_LEVELS } from './maths/levels.js';
export type { Scheme } from './maths/levels.js';
export type { QuantizerOptions } from './options.js';
export { pack, packedLength, unpack } from './maths/packing.js';
export type { Bits } from './maths/packing.js';
export { dequantize, quantize, quantizeWithSteps } from './maths/quantize.js';
export type { Quantized, QuantizeOptions } from './maths/quantize.js';
export { quantizer } from './quantizer.js';
export type { Range } from './maths/ranges.js';
export type { CodeConfig, FakeConfig } from './storage/storage-config.js';
