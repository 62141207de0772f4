import {
  EspalierError,
  printable,
  printableLine,
  quoteCode,
  quoteWord,
  readJson,
  writeJson,
} from '@espalier/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const ESC = '\u001b';
const anyText = fc.string({ unit: 'binary' });
/** Every character of text that a terminal may obey. */
const obeyed = /(?![\t\n])[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

describe('text of others', () => {
  test.each([
    ['an escape', `${ESC}[2J`, '\ufffd[2J'],
    ['the title of the window', `${ESC}]0;x\u0007`, '\ufffd]0;x\ufffd'],
    ['one byte of escape and bracket', '\u009b31m', '\ufffd31m'],
    ['a line that is written over', 'bad\rgood', 'bad\ufffdgood'],
    ['text in the other direction', 'a\u202ebc', 'a\ufffdbc'],
    ['line ends and tabs stay', 'a\n\tb\r\nc', 'a\n\tb\nc'],
    ['other languages stay', 'Größe 大小 😀', 'Größe 大小 😀'],
  ])('%s', (_what, text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  test('stays on one line where it is a name', () => {
    expect(printableLine('a \n b\tc\u2028d')).toBe('a b c d');
  });

  test('whatever it is, nothing in it is obeyed', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(printable(text)).not.toMatch(obeyed);
        expect(printableLine(text)).not.toMatch(/[\n\t]/);
      }),
    );
  });

  test('is the same data in JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText), (data) => {
        const json = writeJson(data, 'data', 2);
        expect(json).not.toMatch(obeyed);
        expect(readJson(json)).toEqual(data);
      }),
    );
  });

  test('an error prints as text', () => {
    const error = new EspalierError('a/b', { problem: `no layer '${ESC}[2J'`, received: '\u009b' });
    expect(error.message).toBe("no layer '\ufffd[2J'. Received: '\ufffd'. (a/b)");
    expect(error.parts.problem).toContain(ESC);
  });
});

test('a string of code is the text, and nothing else', () => {
  expect(quoteCode('@espalier/core')).toBe("'@espalier/core'");
  fc.assert(
    fc.property(anyText, (text) => {
      const code = quoteCode(text);
      expect(code).not.toMatch(obeyed);
      expect(new Function(`return ${code}`)()).toBe(text);
    }),
  );
});

test('a word of a shell is one word', () => {
  expect(quoteWord('runs/a-1.npy')).toBe('runs/a-1.npy');
  expect(quoteWord("it's $(rm x)")).toBe(String.raw`'it'\''s $(rm x)'`);
  expect(quoteWord('')).toBe("''");
});
