import { StoredEmbedding } from '@espalier/compression';
import type { StorageConfig, StoredEmbeddingConfig } from '@espalier/compression';
import { EspalierError, orUndo } from '@espalier/core';
import type { HostTensor } from '@espalier/core';
import { isFloat, pytorchLayers, pytorchModules } from '@espalier/formats';
import type { PyTorchModule, StateDict } from '@espalier/formats';
import * as tfl from '@tensorflow/tfjs-layers';

type Shape = (number | null)[];

/** A state dict as a model. */
export interface StateDictModel {
  readonly model: tfl.LayersModel;
  /** Tensors that no layer holds. */
  readonly rest: StateDict;
}

/**
 * Makes a model of the modules of a state dict. Each module has an input and an output of its own, since a
 * state dict does not contain how modules are connected. One matrix alone becomes an embedding of its name.
 *
 * @throws EspalierError `compress/no-matrix`, and the errors of `pytorchModules`.
 * @example
 * const { model, rest } = modelFromStateDict(await readMatrices('model.safetensors'));
 */
export function modelFromStateDict(state: StateDict): StateDictModel {
  return buildStateDict(state, new Map());
}

/** Storages of embeddings by the name of their tensor: `state` has its shape, and its numbers are elsewhere. */
export type Elsewhere = ReadonlyMap<string, StorageConfig>;

/** {@link modelFromStateDict}, with some matrices elsewhere. */
export function buildStateDict(state: StateDict, elsewhere: Elsewhere): StateDictModel {
  const { modules, rest } = pytorchModules(state);
  if (modules.length > 0) {
    const kept = new Map(rest.map((name) => [name, state.get(name)!]));
    const makeParts = () => modules.map((module) => makePart(state, module, elsewhere));
    return { model: orUndo(() => joinParts(makeParts())), rest: kept };
  }
  const { name, tensor } = takeOneMatrix(state);
  const layers = buildEmbedding(name, tensor, elsewhere.get(name));
  return { model: joinParts([{ shape: [null], layers }]), rest: new Map() };
}

/** An embedding that a state dict holds. */
export interface FoundEmbedding {
  /** Name of its tensor, and of the layer that it becomes. */
  readonly tensor: string;
  readonly layer: string;
  readonly rows: number;
  readonly columns: number;
}

/**
 * The embeddings that {@link modelFromStateDict} makes.
 *
 * @param state Only types and shapes are looked at.
 */
export function listEmbeddings(state: StateDict): readonly FoundEmbedding[] {
  const { modules } = pytorchModules(state);
  const named = modules.flatMap((module) =>
    module.kind === 'embedding' ? [[module.name, nameOfWeight(module)] as const] : [],
  );
  const lone = modules.length === 0 ? [takeOneMatrix(state).name] : [];
  return [...named, ...lone.map((name) => [name, name] as const)].map(([name, tensor]) => {
    const [rows, columns] = state.get(tensor)!.shape as [number, number];
    return { tensor, layer: configOfEmbedding(name, columns).name!, rows, columns };
  });
}

function takeOneMatrix(state: StateDict): { readonly name: string; readonly tensor: HostTensor } {
  const [[name, tensor] = ['', undefined]] = state;
  if (state.size !== 1 || tensor?.shape.length !== 2 || tensor.shape.includes(0))
    throw noMatrix(state);
  if (!isFloat(tensor)) throw unsupportedDtype(name, tensor);
  return { name, tensor };
}

function nameOfWeight({ name }: PyTorchModule): string {
  return name === '' ? 'weight' : `${name}.weight`;
}

function buildEmbedding(
  name: string,
  tensor: HostTensor,
  storage: StorageConfig | undefined,
): readonly tfl.layers.Layer[] {
  if (!storage) return plainEmbedding(name, tensor);
  const [rows, columns] = tensor.shape as [number, number];
  const config = configOfEmbedding(name, columns);
  return [new StoredEmbedding({ ...config, inputDim: rows, storage: { embeddings: storage } })];
}

function plainEmbedding(name: string, tensor: HostTensor): tfl.layers.Layer[] {
  const path = nameOfWeight({ name } as PyTorchModule);
  return pytorchLayers(new Map([[path, tensor]]), [name], { kinds: { [name]: 'embedding' } });
}

/** Of an embedding of one row. */
function configOfEmbedding(name: string, columns: number): StoredEmbeddingConfig {
  const data = new Float32Array(columns);
  const [layer] = plainEmbedding(name, { dtype: 'F32', shape: [1, columns], data });
  const config = layer!.getConfig();
  layer!.weights.forEach((weight) => weight.dispose());
  return config as unknown as StoredEmbeddingConfig;
}

/** The layers of a module, and what the first of them takes. */
interface Part {
  readonly shape: Shape;
  readonly layers: readonly tfl.layers.Layer[];
}

function makePart(state: StateDict, module: PyTorchModule, elsewhere: Elsewhere): Part {
  const weight = nameOfWeight(module);
  const storage = elsewhere.get(weight);
  const layers = storage
    ? buildEmbedding(module.name, state.get(weight)!, storage)
    : pytorchLayers(state, [module.name]);
  return { shape: findInputShape(module), layers };
}

function findInputShape(module: PyTorchModule): Shape {
  if (module.kind === 'embedding') return [null];
  return 'inputs' in module ? [module.inputs] : [null, module.inputSize];
}

function joinParts(parts: readonly Part[]): tfl.LayersModel {
  const taken = new Set(parts.flatMap(({ layers }) => layers.map(({ name }) => name)));
  const branches = parts.map(({ shape, layers }) => {
    const input = tfl.input({ shape, name: nameInput(layers[0]!.name, taken) });
    const output = layers.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
    return { input, output };
  });
  return tfl.model({
    inputs: branches.map(({ input }) => input),
    outputs: branches.map(({ output }) => output),
  });
}

/** A module may have the name that the input of another one would get. */
function nameInput(layer: string, taken: Set<string>): string {
  let name = `${layer}_inputs`;
  while (taken.has(name)) name += '_';
  taken.add(name);
  return name;
}

function unsupportedDtype(name: string, { dtype }: HostTensor): EspalierError {
  return new EspalierError('compress/no-matrix', {
    problem: `'${name}' holds ${dtype}, not floats: its elements may be codes of something packed`,
    received: dtype,
    fix: 'If they are the numbers themselves, save them as float32: array.astype("float32").',
  });
}

function noMatrix(state: StateDict): EspalierError {
  const shapes = [...state].map(
    ([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`,
  );
  return new EspalierError('compress/no-matrix', {
    problem:
      'the file holds no embedding, linear or recurrent module of floats, and is not one matrix',
    received: shapes.slice(0, 5),
    fix: "Name tensors as PyTorch's state_dict() does ('embedding.weight'), or give a .npy file of two dimensions.",
  });
}
