export { installKernels } from './install.js';
export type { Repair } from './repair.js';
export { repairs } from './repairs.js';
