export { guardSecondOrder } from './guard.js';
export type { GuardOptions } from './guard.js';
export type { Uninstall } from './engine.js';
export { gradientsInstalled, installGradients } from './install.js';
export { gradientRepairs } from './repairs.js';
export type { GradientRepair } from './repairs.js';
export { unsafeSecondOrder } from './unsafe.js';
export type { UnsafeOperation } from './unsafe.js';
export { stopGradient } from '../stop-gradient.js';
