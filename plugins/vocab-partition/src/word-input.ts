import { canonicalNames, EspalierError, toCanonicalName } from '@espalier/core';
import type { LayerInfo, ModelView } from '@espalier/core';

/** Where a model takes word ids. */
export interface WordInput {
  /** Names of inputs that hold ids of one vocabulary. */
  readonly names: readonly string[];
  /** Whether id 0 is padding and no word: its embedding has `maskZero`. */
  readonly padded: boolean;
}

/** An embedding, plain or compressed, and the inputs that reach it with their ids unchanged. */
interface Fed {
  readonly layer: string;
  readonly inputs: readonly string[];
}

/** Layers that move ids and change none. */
const MOVING = new Set(['Reshape', 'Flatten', 'Permute']);

/**
 * The input of the name, or that which feeds an embedding.
 *
 * @throws EspalierError `vocab-partition/input`: there is none of the name; no input feeds an
 * embedding, or different ones do.
 */
export function findWordInput(model: ModelView, wanted?: string): WordInput {
  const named = wanted && toCanonicalName(wanted, model.inputNames, model.ownNames);
  const fed = fedEmbeddings(model.layers);
  const sets = [...new Set(fed.map(({ inputs }) => inputs.join("', '")))];
  if (named === undefined ? sets.length !== 1 : !model.inputNames.includes(named)) {
    throw unclear(model, sets, named);
  }
  const names = named === undefined ? fed[0]!.inputs : [named];
  const reached = fed.filter(({ inputs }) => inputs.some((input) => names.includes(input)));
  return { names, padded: reached.some(({ layer }) => masksZero(model, layer)) };
}

function fedEmbeddings(layers: readonly LayerInfo[]): Fed[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const traceInputs = (name: string): string[] => {
    const { className, inbound } = byName.get(name)!;
    if (className === 'InputLayer') return [name];
    return MOVING.has(className) ? inbound.flatMap(traceInputs) : [];
  };
  return layers
    .filter(({ className }) => className.endsWith('Embedding'))
    .map(({ name, inbound }) => ({ layer: name, inputs: inbound.flatMap(traceInputs).sort() }))
    .filter(({ inputs }) => inputs.length > 0);
}

function masksZero({ layersModel }: ModelView, name: string): boolean {
  const [layer] = [...canonicalNames(layersModel)].find(([, known]) => known === name)!;
  return layer.getConfig()['maskZero'] === true;
}

function unclear(
  { inputNames }: ModelView,
  sets: readonly string[],
  named: string | undefined,
): EspalierError {
  const found = sets.length === 0 ? 'no input' : `different inputs ('${sets.join("'; '")}')`;
  return new EspalierError('vocab-partition/input', {
    problem:
      named === undefined
        ? `words cannot be counted by themselves: ${found} of the model ${sets.length === 0 ? 'feeds' : 'feed'} an embedding`
        : `the model has no input '${named}'`,
    received: inputNames,
    fix: `Name the input that holds word ids, vocabPartition({ input: '${inputNames[0]}' }), or give counts of the words.`,
  });
}
