import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import type { MatrixFile } from '../files/matrix-file.js';
import { readText } from './read-text.js';

/** The file that names the words of a model2vec model. */
export const TOKENIZER = 'tokenizer.json';
const MATRIX = 'embeddings';
/** Where this is there, several words share a row. */
const MAPPING = 'mapping';

/** A tokenizer of Hugging Face, as far as it names words. */
interface Tokenizer {
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> | readonly unknown[] };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

/** The matrix of a model2vec folder with the words of its tokenizer; other folders as they are. */
export async function addTokenizerWords(dir: string, file: MatrixFile): Promise<MatrixFile> {
  const matrix = file.tensors.get(MATRIX);
  if (!matrix || matrix.shape.length !== 2 || file.tensors.has(MAPPING)) return file;
  const words = listWords(await readText(join(dir, TOKENIZER)));
  if (!words || words.length !== matrix.shape[0] || words.includes(undefined))
    throw tokenizerError(words?.length, matrix.shape[0]!);
  return { ...file, format: 'model2vec', words: words as string[] };
}

/** Words by id; `undefined` where no word has an id. */
function listWords(text: string): (string | undefined)[] | undefined {
  const ids = new Map<number, string>();
  const { model, added_tokens: added = [] } = parse(text);
  const vocab = model?.vocab;
  if (typeof vocab !== 'object' || vocab === null || !Array.isArray(added)) return undefined;
  if (Array.isArray(vocab)) vocab.forEach((entry, id) => ids.set(id, String([entry].flat()[0])));
  else for (const [word, id] of Object.entries(vocab)) ids.set(Number(id), word);
  for (const token of added) ids.set(Number(token?.id), String(token?.content));
  return Array.from({ length: ids.size }, (_, id) => ids.get(id));
}

function parse(text: string): Tokenizer {
  try {
    return Object(JSON.parse(text)) as Tokenizer;
  } catch {
    return {};
  }
}

function tokenizerError(words: number | undefined, rows: number): EspalierError {
  return new EspalierError('matrices/tokenizer', {
    problem: `${TOKENIZER} does not name one word for each of the ${rows} rows of '${MATRIX}'`,
    received: words === undefined ? 'no vocabulary' : `${words} words`,
    fix: 'Download all files of the model again. Without its words, give its model.safetensors.',
  });
}
