import { rowReader } from '@espalier/compression';
import { EspalierError, suggest } from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import type { RowSource } from '@espalier/formats/node';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { countWords } from '../fidelity.js';

type Layer = LayersModel['layers'][number];

/** The matrices of a model, decoded row by row where they are needed. */
export interface DenseMatrices {
  /** Called as their layers; rows are words or units, as in PyTorch. */
  readonly matrices: readonly RowSource[];
  /** Biases, called `<layer>.bias`. */
  readonly biases: readonly (HostTensor & { readonly name: string })[];
  /** Layers that have weights of another kind. */
  readonly others: readonly string[];
}

/**
 * Finds the matrices of a model.
 *
 * @param layers Only these layers.
 * @throws EspalierError `compress/layers` where a name is not that of a layer with a matrix.
 */
export async function findMatrices(
  model: LayersModel,
  layers?: readonly string[],
): Promise<DenseMatrices> {
  const weighted = model.layers.filter(({ weights }) => weights.length > 0);
  const read = await Promise.all(weighted.map(readMatrix));
  const found = read.flatMap((matrix) => matrix ?? []);
  const names = found.map(({ name }) => name);
  const unknown = layers?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new EspalierError('compress/layers', {
      problem: `there is no layer '${unknown}' with a matrix`,
      fix: suggest(unknown, names),
    });
  }
  const chosen = found.filter(({ name }) => layers?.includes(name) ?? true);
  const isOther = ({ name }: Layer) => !layers && !names.includes(name);
  return {
    matrices: chosen,
    biases: await readBiases(
      weighted.filter(({ name }) => chosen.some((each) => each.name === name)),
    ),
    others: weighted.filter(isOther).map(({ name }) => name),
  };
}

async function readMatrix(layer: Layer): Promise<RowSource | undefined> {
  const rows = countWords(layer);
  const readRows = rowReader(layer);
  if (!rows || !readRows) return undefined;
  const { length: columns } = await readRows(0, 1);
  return { name: layer.name, shape: [rows, columns], readRows };
}

function readBiases(layers: readonly Layer[]): Promise<(HostTensor & { readonly name: string })[]> {
  const biases = layers.flatMap(({ name, weights }) =>
    weights
      .filter(({ originalName }) => /(^|\/)bias$/.test(originalName))
      .map((weight) => ({ name: `${name}.bias`, tensor: weight.read() })),
  );
  return Promise.all(
    biases.map(async ({ name, tensor }) => {
      const data = (await tensor.data()) as Float32Array;
      return { name, dtype: 'F32' as const, shape: tensor.shape, data };
    }),
  );
}
