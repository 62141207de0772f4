export * from '@espalier/base/node';
export * from '@espalier/checkpoint/node';
export * from '@espalier/telemetry/node';
