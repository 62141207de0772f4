// Optional peers that are imported by a literal name: the compiler need not have them.
declare module '@tensorflow/tfjs-backend-webgl';
declare module '@tensorflow/tfjs-backend-webgpu';
