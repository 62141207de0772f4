import { expect, test } from 'vitest';
import { READERS } from '../fuzz/reader-names.js';
import { runReader } from '../fuzz/run-reader.js';

const CASES = 1000;
const thread = new URL('../dist/fuzz/worker.js', import.meta.url);

// `npm run fuzz` takes more of them.
test.each(READERS)(
  '%s: damaged files are read or refused by name, in time, and leave no tensor',
  async (reader) => {
    const { read, refused, failures } = await runReader(thread, { reader, cases: CASES, seed: 0 });
    expect(failures).toEqual([]);
    expect(read + refused).toBe(CASES);
    expect(read).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(CASES / 20);
  },
);
