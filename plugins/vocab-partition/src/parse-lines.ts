import { EspalierError } from '@espalier/core';
import { checkCounts } from './check-counts.js';
import { distinct } from './distinct.js';
import type { ParsedCounts } from './parse-counts.js';

/** A line that is not blank; `number` from 1. */
interface Line {
  readonly number: number;
  readonly text: string;
}

/** The form of a line: what is word and what is count; nothing where it does not have that form. */
type Form = (text: string) => { readonly word?: string; readonly count: number } | undefined;

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
function form(pattern: string): Form {
  const expression = new RegExp(pattern, 's'); // words may hold a line separator of Unicode
  return (text) => {
    const found = expression.exec(text)?.groups;
    if (!found) return undefined;
    return { ...(found['word'] !== undefined && { word: found['word'] }), count: +found['count']! };
  };
}

/** In order of preference. A tab parts words that hold blanks. */
const FORMS: readonly Form[] = [
  form(String.raw`^(?<word>[^\t]+)\t *(?<count>${NUMBER})\s*$`),
  form(String.raw`^\s*(?<word>\S(?:.*\S)?)\s+(?<count>${NUMBER})\s*$`),
  form(String.raw`^\s*(?<count>${NUMBER})(?:\t| +)(?<word>\S.*?)\s*$`),
  form(String.raw`^\s*(?<count>${NUMBER})\s*$`),
];

/** Reads a word and its count, or a count, a line; a first line without any number is a header. */
export function parseLines(text: string): ParsedCounts {
  const lines = linesOf(text);
  const body = lines.length > 1 && !/\d/.test(lines[0]!.text) ? lines.slice(1) : lines;
  const read = formOf(body);
  const parsed = body.map((line) => ({ line, ...(read(line.text) ?? refuse(line)) }));
  parsed.forEach(({ line, count }) => (count < 0 || count === Infinity) && refuse(line));
  const counts = checkCounts(parsed.map(({ count }) => count));
  if (parsed[0]!.word === undefined) return { counts };
  const words = parsed.map(({ word }) => word!);
  return { words: distinct(words, (i) => `line ${parsed[i]!.line.number}`), counts };
}

function linesOf(text: string): Line[] {
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
function formOf(lines: readonly Line[]): Form {
  const first = lines.slice(0, SAMPLE);
  const fitting = FORMS.map((read) => first.filter(({ text }) => read(text)).length);
  return FORMS[fitting.indexOf(Math.max(...fitting))]!;
}

function refuse({ number, text }: Line): never {
  throw new EspalierError('vocab-partition/parse', {
    problem: `line ${number} must be a word and how often it occurs, like the lines around it`,
    received: text,
    fix: 'Counts are numbers of 0 or more, without separators of thousands; the text is UTF-8.',
  });
}
