import { EspalierError } from '@espalier/core';
import { checkCounts } from './check-counts.js';
import { checkDistinct } from './distinct.js';
import { FORMS } from './line-forms.js';
import type { Entry, Form } from './line-forms.js';
import type { ParsedCounts } from './parse-counts.js';

/** A line that is not blank; `number` from 1. */
interface Line {
  readonly number: number;
  readonly text: string;
}

/** Reads a word and its count, or a count, a line; the first may be a header of as many columns. */
export function parseLines(text: string): ParsedCounts {
  const lines = splitLines(text);
  const body = isHeader(lines) ? lines.slice(1) : lines;
  const read = detectForm(body);
  const parsed = body.map((line) => ({ line, ...(read(line.text) ?? refuse(line)) }));
  parsed.forEach(({ line, count }) => (count < 0 || count === Infinity) && refuse(line));
  refuseDottedThousands(parsed);
  const counts = checkCounts(parsed.map(({ count }) => count));
  if (parsed[0]!.word === undefined) return { counts };
  const words = parsed.map(({ word }) => word!);
  return { words: checkDistinct(words, (i) => `line ${parsed[i]!.line.number}`), counts };
}

/** What stands for a number that is not there. */
const NO_NUMBER = /^([+-]?(nan|inf(inity)?)|null|none|n\/?a|-+|\?)$/i;

/** Whether the first line names columns: as many as the next line has, all of them words. */
function isHeader([first, second]: readonly Line[]): boolean {
  if (!first || !second || /\d/.test(first.text)) return false;
  const splitColumns = ({ text }: Line) =>
    text.trim().split(second.text.includes('\t') ? '\t' : /\s+/);
  const names = splitColumns(first);
  return (
    names.length === splitColumns(second).length &&
    !names.some((each) => NO_NUMBER.test(each.trim()))
  );
}

/** `50.770` is fifty thousand where smaller counts are whole: as a decimal it would be 50.77. */
function refuseDottedThousands(entries: readonly (Entry & { readonly line: Line })[]): void {
  const dotted = entries.filter(({ written }) => /^[1-9]\d{0,2}\.\d{3}$/.test(written));
  const small = entries.filter(({ written }) => /^\d{1,3}$/.test(written));
  if (dotted.length === 0 || small.length === 0) return;
  if (dotted.length + small.length === entries.length) refuse(dotted[0]!.line);
}

function splitLines(text: string): Line[] {
  const lines = text.split(/\r\n|\r|\n/).map((line, i) => ({ number: i + 1, text: line }));
  const filled = lines.filter(({ text }) => text.trim() !== '');
  if (filled.length > 0) return filled;
  throw new EspalierError('vocab-partition/parse', {
    problem: 'the counts are empty',
    received: text,
    fix: 'Give a word and its count a line.',
  });
}

/** Lines that decide on the form. */
const SAMPLE = 1000;

/** The form that most of the first lines have, the first of equals: one that is wrong decides nothing. */
function detectForm(lines: readonly Line[]): Form {
  const first = lines.slice(0, SAMPLE);
  const fitting = FORMS.map((read) => first.filter(({ text }) => read(text)).length);
  return FORMS[fitting.indexOf(Math.max(...fitting))]!;
}

function refuse({ number, text }: Line): never {
  throw new EspalierError('vocab-partition/parse', {
    problem: `line ${number} must be a word and how often it occurs, like the lines around it`,
    received: text,
    fix: 'Counts are numbers of 0 or more, without separators of thousands; there are no other columns; a tab parts a word that holds blanks from its count.',
  });
}
