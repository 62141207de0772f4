export { toFloat32 } from './float32.js';
export { decodeNpy, encodeNpy } from './npy/npy.js';
