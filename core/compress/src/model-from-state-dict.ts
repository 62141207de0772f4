import { EspalierError } from '@espalier/core';
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
  const { modules, rest } = pytorchModules(state);
  if (modules.length > 0) {
    const kept = new Map(rest.map((name) => [name, state.get(name)!]));
    return { model: joinBranches(modules.map((module) => buildBranch(state, module))), rest: kept };
  }
  const [[name, tensor] = ['', undefined]] = state;
  if (state.size !== 1 || tensor?.shape.length !== 2 || tensor.shape.includes(0))
    throw noMatrix(state);
  if (!isFloat(tensor)) throw unsupportedDtype(name, tensor);
  const layers = pytorchLayers(new Map([[`${name}.weight`, tensor]]), [name], {
    kinds: { [name]: 'embedding' },
  });
  return { model: joinBranches([connectLayers([null], layers)]), rest: new Map() };
}

interface Branch {
  readonly input: tfl.SymbolicTensor;
  readonly output: tfl.SymbolicTensor;
}

function buildBranch(state: StateDict, module: PyTorchModule): Branch {
  const layers = pytorchLayers(state, [module.name]);
  return connectLayers(findInputShape(module), layers);
}

function findInputShape(module: PyTorchModule): Shape {
  if (module.kind === 'embedding') return [null];
  return 'inputs' in module ? [module.inputs] : [null, module.inputSize];
}

function connectLayers(shape: Shape, layers: readonly tfl.layers.Layer[]): Branch {
  const input = tfl.input({ shape, name: `${layers[0]!.name}_inputs` });
  const output = layers.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
  return { input, output };
}

function joinBranches(branches: readonly Branch[]): tfl.LayersModel {
  return tfl.model({
    inputs: branches.map(({ input }) => input),
    outputs: branches.map(({ output }) => output),
  });
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
