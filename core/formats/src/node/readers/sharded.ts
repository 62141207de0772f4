import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EspalierError } from '@espalier/base';
import { byName } from '../files/matrix-file.js';
import type { FileTensor, MatrixFile } from '../files/matrix-file.js';
import { readText } from './read-text.js';

const PLAIN_NAME = /^[^./\\][^/\\]*$/;
const LARGEST_INDEX = 100_000_000; // bytes; as for the header of a safetensors file

/** The shard of each tensor, as `*.index.json` names it. */
type WeightMap = Readonly<Record<string, string>>;

/**
 * Reads the index of a model in shards.
 *
 * @returns `undefined` where the file is no JSON with a `weight_map`.
 */
export async function readShardIndex(path: string): Promise<WeightMap | undefined> {
  const { size } = await stat(path);
  if (size > LARGEST_INDEX) return undefined;
  const map = parseMap(await readText(path));
  if (typeof map !== 'object' || map === null) return undefined;
  const bad = Object.entries(map).find(([, file]) => !PLAIN_NAME.test(String(file)));
  if (bad) throw shardError(`places '${bad[0]}' in a file that is no plain name`, bad[1]);
  return map as WeightMap;
}

/** Opens the shards that an index names; their tensors must be those of the index. */
export async function openShards(
  path: string,
  map: WeightMap,
  open: (path: string) => Promise<MatrixFile>,
): Promise<MatrixFile> {
  const names = [...new Set(Object.values(map))].sort();
  const shards: MatrixFile[] = [];
  const close = async () => void (await Promise.all(shards.map((shard) => shard.close())));
  try {
    const tensors: FileTensor[] = [];
    for (const name of names) {
      const shard = await openShard(join(dirname(path), name), name, open);
      shards.push(shard);
      checkShard(name, shard.tensors, map);
      tensors.push(...shard.tensors.values());
    }
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    return { format: 'sharded', bytes, tensors: byName(tensors), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openShard(
  path: string,
  name: string,
  open: (path: string) => Promise<MatrixFile>,
): Promise<MatrixFile> {
  await stat(path).catch(() => {
    throw shardError(`names the shard ${name}, which is not beside it`, name);
  });
  return open(path);
}

function checkShard(name: string, found: MatrixFile['tensors'], map: WeightMap): void {
  const expected = Object.keys(map).filter((tensor) => map[tensor] === name);
  const missing = expected.find((tensor) => !found.has(tensor));
  if (missing !== undefined)
    throw shardError(`places '${missing}' in ${name}, which lacks it`, name);
  const foreign = [...found.keys()].find((tensor) => map[tensor] !== name);
  if (foreign !== undefined)
    throw shardError(`does not place '${foreign}' in ${name}, where it is`, name);
}

function parseMap(text: string): unknown {
  try {
    return (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map;
  } catch {
    return undefined;
  }
}

function shardError(problem: string, received: unknown): EspalierError {
  return new EspalierError('matrices/shard', {
    problem: `the index of the shards ${problem}`,
    received,
    fix: 'Download all files of the model again, into one folder.',
  });
}
