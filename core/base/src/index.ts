export { attribute, EspalierError, findNear, suggest } from './error.js';
export type { ErrorParts, ErrorPlace } from './error.js';
export { fileError } from './file-error.js';
export { refuseForeignTensor } from './foreign-tensor.js';
export { sha256Hex } from './hash.js';
export {
  canonicalJson,
  copyJson,
  isPlain,
  printValue,
  readJson,
  toJson,
  writeJson,
} from './json.js';
export { matches } from './matches.js';
export type { NamedTensors } from './named-tensors.js';
export { parseOptions } from './options.js';
export { printable, printableLine, quoteCode, quoteWord } from './printable.js';
export { keyedRng } from './random.js';
export type { KeyedRng } from './random.js';
export { readLater, readNow } from './reading.js';
export type { Reading } from './reading.js';
export { twoCopiesError } from './two-copies-error.js';
