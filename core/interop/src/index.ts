export { toFloat32 } from './float32.js';
