import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildModel } from './build.js';
import { extractGraph } from './graph.js';
import type { GraphConfig } from './graph.js';

/**
 * A copy of the model without the constraints of its layers. TensorFlow.js applies constraints to weights
 * that it loads, which would change what an optimizer or a quantizer wrote. The caller owns the copy.
 *
 * @throws EspalierError the errors of {@link extractGraph} and {@link buildModel}.
 * @example
 * await withoutConstraints(model).save('downloads://model');
 */
export function withoutConstraints(model: LayersModel): LayersModel {
  const { topology, weights } = extractGraph(model);
  const config = strip(topology.config) as GraphConfig;
  return buildModel({ topology: { ...topology, config }, weights });
}

/**
 * Names of the layers that have constraints, or hold layers that have some.
 *
 * @example
 * listConstrainedLayers(model); // ['dense_1']
 */
export function listConstrainedLayers(model: LayersModel): readonly string[] {
  const { layers } = extractGraph(model).topology.config;
  return layers
    .filter(({ config }) => JSON.stringify(strip(config)) !== JSON.stringify(config))
    .map(({ name }) => name);
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, each]) => [
    key,
    isConstraint(key, each) ? null : strip(each),
  ]);
  return Object.fromEntries(entries) as unknown;
}

function isConstraint(key: string, value: unknown): boolean {
  return key.endsWith('Constraint') && typeof value === 'object' && value !== null;
}
