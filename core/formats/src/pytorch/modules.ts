import { EspalierError, suggest } from '@espalier/base';
import type { HostTensor } from '@espalier/checkpoint';
import { isFloat } from '../float32.js';
import { conv1dStyle, isConv1d } from './conv1d.js';
import { guessTable } from './guess-table.js';
import { refuseAlike } from './layer-names.js';

/** Tensors by name, as `state_dict()` names them. */
export type StateDict = ReadonlyMap<string, HostTensor>;

/** The kinds of module that are read. */
export type PyTorchKind = PyTorchModule['kind'];

/** A module of a state dict. `name` is the common prefix of its tensors, without the last dot. */
export type PyTorchModule = PyTorchEmbedding | PyTorchLinear | PyTorchConv1d | PyTorchRecurrent;

/** `nn.Embedding`. */
export interface PyTorchEmbedding {
  /** Tells the modules apart. */
  readonly kind: 'embedding';
  /** Prefix of its tensors, without the last dot. */
  readonly name: string;
  /** Number of words. */
  readonly rows: number;
  /** Length of a row. */
  readonly columns: number;
}

/** `nn.Linear`. */
export interface PyTorchLinear {
  /** Tells the modules apart. */
  readonly kind: 'linear';
  /** Prefix of its tensors, without the last dot. */
  readonly name: string;
  /** Number of inputs. */
  readonly inputs: number;
  /** Number of outputs. */
  readonly outputs: number;
  /** Whether it has a bias. */
  readonly bias: boolean;
}

/** `Conv1D` of GPT-2 in transformers: a linear module whose weight is `[inputs, outputs]`. */
export interface PyTorchConv1d {
  /** Tells the modules apart. */
  readonly kind: 'conv1d';
  /** Prefix of its tensors, without the last dot. */
  readonly name: string;
  /** Number of inputs. */
  readonly inputs: number;
  /** Number of outputs. */
  readonly outputs: number;
  /** It always has a bias. */
  readonly bias: true;
}

/** `nn.LSTM` or `nn.GRU`, in one direction. */
export interface PyTorchRecurrent {
  /** Tells the modules apart. */
  readonly kind: 'lstm' | 'gru';
  /** Prefix of its tensors, without the last dot. */
  readonly name: string;
  /** Number of layers. */
  readonly layers: number;
  /** Number of inputs. */
  readonly inputSize: number;
  /** Number of units. */
  readonly hiddenSize: number;
  /** Whether it has biases. */
  readonly bias: boolean;
}

/** What {@link pytorchModules} finds. */
export interface PyTorchModules {
  /** In the order of the state dict, which in safetensors files is not that of the network. */
  readonly modules: readonly PyTorchModule[];
  /** Names of tensors that belong to none of them. */
  readonly rest: readonly string[];
}

/** Options of {@link pytorchModules}. */
export interface PyTorchModulesOptions {
  /** Says which kind a module is, by its name, where that cannot be told from its tensors. */
  readonly kinds?: Readonly<Record<string, PyTorchKind>>;
}

type Parameters = ReadonlyMap<string, HostTensor>;

const GATES: Readonly<Record<number, 'lstm' | 'gru'>> = { 4: 'lstm', 3: 'gru' };

/**
 * Finds the modules whose tensors a state dict holds: `nn.LSTM`, `nn.GRU`, `nn.Linear`,
 * `nn.Embedding`, and the `Conv1D` of GPT-2. One matrix without a bias is ambiguous: it is an embedding or
 * a linear module by its name (`embedding`, `wte`; `lm_head`, `decoder`), else an embedding if it has more
 * than eight times as many rows as columns. A square one with a bias may be either of `Linear` and
 * `Conv1D`: where its name is one of GPT-2's (`c_proj`), the others of these names decide, by their
 * shapes. `kinds` overrides both. What stays unclear is in `rest`, and so are weights that are no floats:
 * integers are codes of something packed.
 *
 * @throws EspalierError `pytorch/module` on recurrent modules that are bidirectional, projected or
 * have inconsistent shapes; `pytorch/kind` where `kinds` contradicts the tensors;
 * `pytorch/alike` where two modules would be layers of one name.
 * @example
 * const { modules, rest } = pytorchModules(decodeSafetensors(bytes).tensors);
 */
export function pytorchModules(
  state: StateDict,
  { kinds = {} }: PyTorchModulesOptions = {},
): PyTorchModules {
  const groups = groupByModule(state);
  const modules: PyTorchModule[] = [];
  const rest: string[] = [];
  const style = conv1dStyle(groups);
  checkNames(Object.keys(kinds), [...groups.keys()]);
  for (const [name, parameters] of groups) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    const module = isPacked(parameters)
      ? undefined
      : (readRecurrent(name, parameters) ?? readTable(name, parameters, { kind, style }));
    checkKind(name, module, kind);
    if (module) modules.push(module);
    else rest.push(...[...parameters.keys()].map((each) => join(name, each)));
  }
  refuseAlike(modules);
  return { modules, rest };
}

/** The name of a module's tensor in the state dict. */
export function join(module: string, parameter: string): string {
  return module === '' ? parameter : `${module}.${parameter}`;
}

function groupByModule(state: StateDict): ReadonlyMap<string, Parameters> {
  const groups = new Map<string, Map<string, HostTensor>>();
  for (const [path, tensor] of state) {
    const found = path.lastIndexOf('.');
    const dot = found > 0 ? found : -1; // one in front parts nothing
    const name = path.slice(0, Math.max(dot, 0));
    const group = groups.get(name) ?? new Map<string, HostTensor>();
    groups.set(name, group.set(path.slice(dot + 1), tensor));
  }
  return groups;
}

/** Whether weights are no numbers to compute with: integers beside a scale, codes in bytes, F8. */
function isPacked(parameters: Parameters): boolean {
  return [...parameters.values()].some((tensor) => !isFloat(tensor));
}

interface Hints {
  readonly kind: PyTorchKind | undefined;
  readonly style: ReturnType<typeof conv1dStyle>;
}

function readTable(
  name: string,
  parameters: Parameters,
  { kind, style }: Hints,
): PyTorchEmbedding | PyTorchLinear | PyTorchConv1d | undefined {
  const { shape } = parameters.get('weight') ?? { shape: [] };
  const bias = parameters.get('bias');
  if (shape.length !== 2 || parameters.size !== (bias ? 2 : 1)) return undefined;
  const [rows, columns] = shape as [number, number];
  if (rows * columns === 0) return undefined;
  if (bias) {
    const turned = isConv1d(name, { rows, columns, bias }, { kind, style });
    if (turned) return { kind: 'conv1d', name, inputs: rows, outputs: columns, bias: true };
    if (turned === undefined || !hasShape(bias, [rows])) return undefined;
  }
  const found = bias ? 'linear' : (kind ?? guessTable(name, rows, columns));
  if (found === 'embedding') return { kind: found, name, rows, columns };
  return { kind: 'linear', name, inputs: columns, outputs: rows, bias: bias !== undefined };
}

function readRecurrent(name: string, parameters: Parameters): PyTorchRecurrent | undefined {
  const first = parameters.get('weight_ih_l0');
  const recurrent = parameters.get('weight_hh_l0');
  if (first?.shape.length !== 2 || recurrent?.shape.length !== 2) return undefined;
  checkOneDirection(name, parameters);
  const [rows, hiddenSize] = recurrent.shape as [number, number];
  const kind = GATES[rows / hiddenSize];
  if (!kind) return undefined;
  const layers = [...parameters.keys()].filter((each) => /^weight_ih_l\d+$/.test(each)).length;
  const [inputSize, bias] = [first.shape[1]!, parameters.has('bias_ih_l0')];
  const module = { kind, name, layers, inputSize, hiddenSize, bias };
  checkShapes(module, rows, parameters);
  return module;
}

function checkOneDirection(name: string, parameters: Parameters): void {
  const odd = [...parameters.keys()].find((each) => /_reverse$|^weight_hr_l/.test(each));
  if (odd === undefined) return;
  const what = odd.endsWith('_reverse') ? 'bidirectional' : 'projected (proj_size)';
  throw new EspalierError('pytorch/module', {
    problem: `the recurrent module '${name}' is ${what}, which is not read`,
    received: join(name, odd),
    fix: 'Leave its tensors out of the state dict to read the others.',
  });
}

function checkShapes(module: PyTorchRecurrent, rows: number, parameters: Parameters): void {
  const expected = Array.from({ length: module.layers }, (_, k): [string, number[]][] => [
    [`weight_ih_l${k}`, [rows, k === 0 ? module.inputSize : module.hiddenSize]],
    [`weight_hh_l${k}`, [rows, module.hiddenSize]],
    ...(module.bias ? ['bias_ih', 'bias_hh'] : []).map((each): [string, number[]] => [
      `${each}_l${k}`,
      [rows],
    ]),
  ]).flat();
  for (const [parameter, shape] of expected) {
    const tensor = parameters.get(parameter);
    if (tensor && hasShape(tensor, shape)) continue;
    throw new EspalierError('pytorch/module', {
      problem: `'${join(module.name, parameter)}' must have shape [${shape.join(', ')}]`,
      received: tensor ? `[${tensor.shape.join(', ')}]` : 'no such tensor',
      fix: `The ${module.kind} of ${module.layers} layers is not whole: save its state dict again.`,
    });
  }
  const known = expected.map(([parameter]) => parameter);
  const extra = [...parameters.keys()].filter((each) => !known.includes(each));
  if (extra.length === 0) return;
  throw new EspalierError('pytorch/module', {
    problem: `the ${module.kind} '${module.name}' has tensors that no layer of it uses`,
    received: extra,
  });
}

function checkNames(given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new EspalierError('pytorch/kind', {
    problem: `'kinds' names a module that the state dict lacks: '${unknown}'`,
    fix: suggest(unknown, known),
  });
}

function checkKind(
  name: string,
  module: PyTorchModule | undefined,
  kind: PyTorchKind | undefined,
): void {
  if (kind === undefined || module?.kind === kind) return;
  throw new EspalierError('pytorch/kind', {
    problem: `the tensors of '${name}' are those of ${module?.kind ?? 'no module that is read'}`,
    received: kind,
    fix: "'kinds' decides between embedding and linear, where there is one matrix without a bias.",
  });
}

function hasShape(tensor: HostTensor, shape: readonly number[]): boolean {
  return tensor.shape.length === shape.length && shape.every((n, i) => tensor.shape[i] === n);
}
