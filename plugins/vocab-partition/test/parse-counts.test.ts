import { alignCounts, parseCounts } from '@espalier/plugin-vocab-partition';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const read = (input: unknown) => {
  const { words, counts } = parseCounts(input);
  return { ...(words && { words: [...words] }), counts: [...counts] };
};
const animals = { words: ['cat', 'dog'], counts: [12, 3.5] };

test.each<[string, unknown, unknown]>([
  ['a word and its count', 'cat 12\ndog 3.5\n', animals],
  ['tabs', 'cat\t12\ndog\t3.5', animals],
  ['a count and its word', '12 cat\n3.5 dog', animals],
  ['what uniq -c writes', '     12 cat\n    3.5 dog\n', animals],
  ['a header', 'word\tcount\ncat\t12\ndog\t3.5', animals],
  [
    'line ends of Windows, a byte order mark, blank lines',
    '\uFEFFcat 12\r\n\r\ndog 3.5\r\n',
    animals,
  ],
  ['a JSON object', '{"cat": 12, "dog": 3.5}', animals],
  [
    'a JSON object in its order, whole numbers and all',
    '{"the": 9, "7": 2, "a \\"b\\"": 5, "1984": 4, "__proto__": 3}',
    { words: ['the', '7', 'a "b"', '1984', '__proto__'], counts: [9, 2, 5, 4, 3] },
  ],
  [
    'line ends of old, and of Unicode in a word',
    'a\u2028b 12\rc 3',
    { words: ['a\u2028b', 'c'], counts: [12, 3] },
  ],
  ['a JSON object, parsed', { cat: 12, dog: 3.5 }, animals],
  ['a vocabulary beside counts', '{"vocab": ["cat", "dog"], "counts": [12, 3.5]}', animals],
  ['a JSON array', ' [12, 3.5] ', { counts: [12, 3.5] }],
  ['counts beside no vocabulary', { counts: [12, 3.5] }, { counts: [12, 3.5] }],
  ['counts alone', '12\n3.5\n', { counts: [12, 3.5] }],
  ['counts below a header', 'count\n12\n3.5\n', { counts: [12, 3.5] }],
  ['counts of three decimals', 'cat 12.000\ndog 3.500\n', animals],
  [
    'counts before words with blanks',
    '7\tNew York\n0\tRio',
    { words: ['New York', 'Rio'], counts: [7, 0] },
  ],
  ['a word that is called NaN', 'NaN 3\nnull 2', { words: ['NaN', 'null'], counts: [3, 2] }],
  ['one count', '12', { counts: [12] }],
  [
    'numbers of other forms',
    'a 1e3\nb .5\nc 2.',
    { words: ['a', 'b', 'c'], counts: [1000, 0.5, 2] },
  ],
  [
    'words with blanks',
    'New York\t7\nLos Angeles\t0',
    { words: ['New York', 'Los Angeles'], counts: [7, 0] },
  ],
  [
    'words that are numbers',
    '1999 4\n42 17\nthe 90',
    { words: ['1999', '42', 'the'], counts: [4, 17, 90] },
  ],
  [
    'counts before words that are numbers',
    '4 1999\n90 the\n80 of',
    { words: ['1999', 'the', 'of'], counts: [4, 90, 80] },
  ],
  ['brackets as words', '[ 5\n{ 4\n# 3', { words: ['[', '{', '#'], counts: [5, 4, 3] }],
  ['words in brackets', '[unk] 5\n{x} .5', { words: ['[unk]', '{x}'], counts: [5, 0.5] }],
  ['a word named counts', { counts: 3, vocab: 2 }, { words: ['counts', 'vocab'], counts: [3, 2] }],
  [
    'words that objects inherit',
    'constructor 3\n__proto__ 2',
    { words: ['constructor', '__proto__'], counts: [3, 2] },
  ],
])('reads %s', (_, input, parsed) => {
  expect(read(input)).toEqual(parsed);
});

test.each<[string, unknown, RegExp]>([
  ['nothing', '  ', /empty.*vocab-partition\/parse/],
  ['a line without a count', 'cat 12\n\ndog\n', /line 3 .*Received: 'dog'.*vocab-partition\/parse/],
  ['a negative count', 'cat 12\ndog -3', /line 2 .*'dog -3'.*vocab-partition\/parse/],
  ['a count that is no number', 'cat 12\ncow 4\ndog NaN', /line 3 .*'dog NaN'/],
  ['a separator of thousands', 'the 1,200\nof 900\nto 800', /line 1 .*'the 1,200'.*thousands/],
  ['a count too large for a number', 'cat 12\ndog 1e999', /line 2 /],
  ['one word twice', 'cat 12\ndog 3\ncat 1', /line 3 stands in line 1 already.*'cat'/],
  [
    'one word twice in a JSON object',
    '{"a": 1, "b": 2, "a": 3}',
    /entry 3 stands in entry 1 .*'a'/,
  ],
  [
    'one word twice in a vocabulary',
    { vocab: ['a', 'b', 'a'], counts: [1, 2, 3] },
    /vocab\[2\] stands in vocab\[0\] already.*'a'/,
  ],
  ['three columns', 'the 50 770\nof 24 300', /line 1 .*'the 50 770'.*no other columns/],
  ['three columns of which one is text', 'the 50 DET\nof 24 PREP', /line 1 .*'the 50 DET'/],
  ['three columns, count first', '50 the DET\n24 of PREP', /line 1 .*'50 the DET'/],
  ['three columns between tabs', 'the\t50\t770\nof\t24\t300', /line 1 /],
  ['a third column in one line', 'the 50\nof 24\nto 20 9\n', /line 3 .*'to 20 9'/],
  ['a header of three columns', 'word count rank\nthe 50\nof 24', /line 1 .*'word count rank'/],
  ['a first line without a count', 'cat\ndog 3\ncow 2', /line 1 .*Received: 'cat'/],
  ['a first count that is none', 'cat NaN\ndog 3\ncow 2', /line 1 .*Received: 'cat NaN'/],
  ['a first count that is infinite', 'cat -inf\ndog 3\ncow 2', /line 1 .*Received: 'cat -inf'/],
  ['a header twice', 'word count\nword count\ndog 3', /line 2 .*'word count'/],
  ['thousands parted by a blank', '50 770 the\n24 300 of', /line 1 .*'50 770 the'/],
  ['thousands parted by a blank that does not break', 'the 50\u00a0770\nof 24', /line 1 /],
  ['thousands parted by a narrow blank', 'the 50\u202f770\nof 24', /line 1 /],
  ['thousands parted by a thin blank', 'the 50\u2009770\nof 24', /line 1 /],
  ['thousands parted by an apostrophe', "the 50'770\nof 24", /line 1 /],
  ['thousands parted by a low line', 'the 50_770\nof 24', /line 1 /],
  [
    'thousands parted by a point',
    'the 50.770\nof 24.300\nrare 12',
    /line 1 .*'the 50.770'.*thousands/,
  ],
  ['decimals after a comma', 'the 50,5\nof 24,25', /line 1 /],
  ['hexadecimal counts', 'the 0x10\nof 24', /line 1 /],
  ['a line number before word and count', '1 the 50\n2 of 24', /line 1 .*'1 the 50'/],
  ['text in UTF-16', '\uFEFFt\0h\0e\0', /zero bytes.*UTF-16/],
  ['NaN in JSON', '{"the": NaN}', /look like JSON but cannot be parsed/],
  ['a fractional string in JSON', { the: '50' }, /"the" must be a count.*'50'/],
  ['a count that is null', { the: null }, /"the" must be a count.*null/],
  ['zeros only', 'cat 0\ndog 0', /all word counts are zero.*vocab-partition\/counts/],
  ['broken JSON', '{"cat": 12,', /look like JSON but cannot be parsed.*vocab-partition\/parse/],
  ['a JSON object cut short', '{"cat": 12', /look like JSON but cannot be parsed/],
  ['a JSON array cut short', '[12, 3', /look like JSON but cannot be parsed/],
  ['a JSON array with a word', '[1, "cat"]', /\[1\] must be a count.*'cat'/],
  ['a JSON object with a negative count', { cat: 1, dog: -2 }, /"dog" must be a count.*-2/],
  [
    'a vocabulary of another length',
    { vocab: ['a'], counts: [1, 2] },
    /'vocab' must hold 2 words.*1 words/,
  ],
  ['a vocabulary of numbers', { vocab: [1, 2], counts: [1, 2] }, /'vocab' must hold 2 words/],
  ['null', null, /must be an array, an object of counts by word, or text.*null/],
])('refuses %s', (_, input, message) => {
  expect(() => parseCounts(input)).toThrow(message);
});

/** No piece of JSON. */
const word = fc.stringMatching(/^[^\s\uFEFF]+$/).filter((each) => !/^[[{]["\d-]/.test(each));
const table = fc
  .uniqueArray(fc.tuple(word, fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e9, noNaN: true }))), {
    selector: ([each]) => each,
    minLength: 1,
    maxLength: 20,
  })
  .filter((rows) => rows.some(([, count]) => count > 0));
const asParsed = (rows: readonly (readonly [string, number])[]) => ({
  words: rows.map(([each]) => each),
  counts: rows.map(([, count]) => count),
});

test('whatever the words are, lines of word and count come back', () => {
  fc.assert(
    fc.property(table, fc.constantFrom('\t', ' ', '   '), (rows, between) => {
      const text = rows.map(([each, count]) => `${each}${between}${count}`).join('\n');
      expect(read(text)).toEqual(asParsed(rows));
    }),
    { numRuns: 1000 },
  );
});

test('any text is read or refused with an error that says what is wrong', () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom('a', ' ', '\t', '\n', '1', '.', '-', 'e', '[', '{', '"', ','), {
        maxLength: 30,
      })
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        const { words, counts } = parseCounts(input);
        expect(counts.every((count) => count >= 0 && count < Infinity)).toBe(true);
        expect(words?.length ?? counts.length).toBe(counts.length);
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^vocab-partition\/(parse|counts)$/),
        });
      }
    }),
    { numRuns: 2000 },
  );
});

test('counts follow the vocabulary, whatever the order of the file', () => {
  const parsed = parseCounts({ the: 9, 7: 2, of: 5 });
  expect([...alignCounts(['of', '<unk>', 'the', '7'], parsed)]).toEqual([5, 0, 9, 2]);
  expect([...alignCounts(['a', 'b'], parseCounts('[1, 2]'))]).toEqual([1, 2]);
});

test('counts that fit no vocabulary are refused', () => {
  expect(() => alignCounts(['THE'], parseCounts('the 3'))).toThrow(
    /none of the 1 counted words .* vocabulary of 1.*'?the'?.*vocab-partition\/vocabulary/,
  );
  expect(() => alignCounts(['a', 'b', 'c'], parseCounts('[1, 2]'))).toThrow(
    /2 word counts, and the matrix has 3 rows.*vocab-partition\/words/,
  );
});
