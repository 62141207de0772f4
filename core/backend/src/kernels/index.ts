export { installKernels } from './install.js';
export type { Uninstall } from './install.js';
export type { Repair, RepairKind } from './repair.js';
export { repairs } from './repairs.js';
