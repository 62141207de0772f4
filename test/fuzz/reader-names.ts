/** Everything that reads files which somebody else may have written. */
export const READERS = [
  'matrices',
  'state-dicts',
  'counts',
  'configurations',
  'model-folders',
  'artifacts',
  'checkpoints',
] as const;

export type ReaderName = (typeof READERS)[number];
