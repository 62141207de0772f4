import type { EspalierError } from '@espalier/base';
import { shorten, wordError } from './word-error.js';
import type { Place } from './word-error.js';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i;

/** Whether a text is a number as files of vectors write it. */
export function isNumber(token: string): boolean {
  return NUMBER.test(token);
}

/** Whether a text stands for NaN or infinity. */
export function isNotFinite(token: string): boolean {
  return NOT_FINITE.test(token);
}

/** The parts of a line between blanks; the first is empty where the line begins with one. */
export function splitLine(line: string): readonly string[] {
  return line.replace(/[ \t]+$/, '').split(/[ \t]+/);
}

/** Says what is wrong with a line that is not a word and `columns` numbers. */
export function diagnoseLine(text: string, place: Place, columns: number): EspalierError {
  const [word = '', ...numbers] = splitLine(text);
  const refuse = (problem: string, fix: string) => wordError(place, problem, fix, word);
  if (text.trim() === '') return refuse('is empty', 'Delete it, or write the file again.');
  if (word === '') return refuse('begins with a blank, not with a word', 'Put a word there.');
  const tail = numbers.slice(-columns);
  if (numbers.length > columns && tail.every(isNumber) && !numbers.every(isNumber)) {
    const whole = [word, ...numbers.slice(0, -columns)].join(' ');
    return refuse(
      `has a word with blanks in it: '${shorten(whole)}'`,
      'Write such words with another character in place of the blank, such as _, or delete the line.',
    );
  }
  const bad = numbers.findIndex((token) => !isNumber(token) || !isFinite32(token));
  if (bad >= 0) {
    const isHuge = isNumber(numbers[bad]!);
    const why = isHuge ? ', which is beyond float32' : '';
    return refuse(
      `has '${shorten(numbers[bad]!)}' as number ${bad + 1} of '${shorten(word)}'${why}`,
      isNotFinite(numbers[bad]!) || isHuge
        ? 'Vectors hold finite numbers: repair the line or delete it.'
        : 'Repair the line or delete it; a number is written as -0.25 or 1e-3.',
    );
  }
  const what = `has ${numbers.length} numbers for '${shorten(word)}' where ${columns} are expected`;
  if (numbers.length < columns) {
    return refuse(`${what} (cut short?)`, 'Take another copy of the file, or delete the line.');
  }
  return refuse(what, 'All vectors of a file have the same length: repair the line or delete it.');
}

function isFinite32(token: string): boolean {
  return Number.isFinite(Math.fround(Number(token)));
}
