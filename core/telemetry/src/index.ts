export { Telemetry } from './telemetry.js';
export type { TelemetryEvent, TelemetryEvents } from './telemetry.js';
