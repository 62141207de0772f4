export { backendNames } from './backend-info.js';
export type {
  BackendInfo,
  BackendName,
  SkippedBackend,
  UseBackendOptions,
} from './backend-info.js';
export {
  gradientRepairs,
  gradientsInstalled,
  guardSecondOrder,
  installGradients,
  stopGradient,
  unsafeSecondOrder,
} from './gradients/index.js';
export type {
  GradientRepair,
  GuardOptions,
  Uninstall,
  UnsafeOperation,
} from './gradients/index.js';
export { installKernels, repairs as kernelRepairs } from './kernels/index.js';
export type { Repair as KernelRepair } from './kernels/index.js';
export { writeElements } from './kernels/memory.js';
export { installTensorMethods } from './tensor-methods.js';
