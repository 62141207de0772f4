export { holm } from './statistics/holm.js';
export { pairedDifference } from './statistics/paired-difference.js';
export type { PairedDifference, PairedDifferenceOptions } from './statistics/paired-difference.js';
export { summary } from './statistics/summary.js';
export type { Interval, Summary, SummaryOptions } from './statistics/summary.js';
