import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** A folder for the tests of a file, removed when they are over. */
export function useFolder() {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'espalier-formats-'));
  });
  afterAll(() => rm(dir, { recursive: true }));
  return {
    at: (name: string) => join(dir, name),
    async write(name: string, content: Uint8Array | string): Promise<string> {
      await writeFile(join(dir, name), content);
      return join(dir, name);
    },
  };
}
