import { join } from 'node:path';
import { readCounts } from '@espalier/compress/node';
import type { Reader, Sample } from '../reader.js';
import { json, text } from './text.js';

const sample = (name: string, bytes: Uint8Array): Sample => ({
  name,
  files: { counts: bytes },
  open: 'counts',
});

export const counts: Reader = {
  name: 'counts',
  samples: [
    sample('numbers', text('50770\n24000\n17\n0\n')),
    sample('word and count', text('the\t50770\nof\t24000\nnew york\t17\n')),
    sample('count and word', text('  50770 the\n  24000 of\n     17 york\n')),
    sample('ids', text('2 5\n0 7\n1 1\n')),
    sample('a header', text('word count\nthe 3\nof 2\n')),
    sample('a list', json([3, 2, 1])),
    sample('an object', json({ the: 3, of: 2, '7': 1 })),
    sample('vocabulary and counts', json({ vocab: ['the', 'of'], counts: [3, 2] })),
  ],
  found: [
    sample('a long line of digits', text('7'.repeat(80_000))),
    sample('a long line of digits and a letter', text(`${'7'.repeat(80_000)}x\n1`)),
    sample('wide blanks', text(`1${'\u3000'.repeat(80_000)}a b`)),
    sample(
      'digits, wide blanks, digits',
      text(`${'7'.repeat(40_000)}\u3000${'7'.repeat(40_000)}.`),
    ),
    sample('nested without end', text('['.repeat(80_000))),
  ],
  read: async (folder) => void (await readCounts(join(folder, 'counts'))),
};
