import { cpus, totalmem } from 'node:os';
import type { BackendInfo } from '@espalier/backend';
import { version_core as tfjsVersion } from '@tensorflow/tfjs-core';

/** Where runs were made, for the foot of a page: by label. */
export function machineFacts(backend: BackendInfo): Readonly<Record<string, string>> {
  return {
    backend: backend.line.replace(/^backend /, ''),
    processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    'Node.js': `${process.version}, ${process.platform} ${process.arch}`,
    'TensorFlow.js': tfjsVersion,
  };
}

/** The same as one line. */
export function machineLine(backend: BackendInfo): string {
  return Object.entries(machineFacts(backend))
    .map((fact) => fact.join(' '))
    .join(', ');
}
