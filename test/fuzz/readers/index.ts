import type { ReaderName } from '../reader-names.js';
import type { Reader } from '../reader.js';
import { makeArtifacts } from './artifacts.js';
import { makeCheckpoints } from './checkpoints.js';
import { configurations } from './configurations.js';
import { counts } from './counts.js';
import { matrices } from './matrices.js';
import { makeModelFolders } from './model-folders.js';
import { stateDicts } from './state-dicts.js';

const MAKERS: Readonly<Record<ReaderName, () => Reader | Promise<Reader>>> = {
  matrices: () => matrices,
  'state-dicts': () => stateDicts,
  counts: () => counts,
  configurations: () => configurations,
  'model-folders': makeModelFolders,
  artifacts: makeArtifacts,
  checkpoints: makeCheckpoints,
};

/** A reader by its name, with its samples. */
export async function makeReader(name: ReaderName): Promise<Reader> {
  return MAKERS[name]();
}
