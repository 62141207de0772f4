/** What a line says: `written` is the count as it stands there. */
export interface Entry {
  readonly word?: string;
  readonly count: number;
  readonly written: string;
}

/** The form of a line: what is word and what is count; nothing where it does not have that form. */
export type Form = (text: string) => Entry | undefined;

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Part columns and thousands; words may hold other separators of Unicode. */
const BLANK = /[ \t\u00a0\u2007\u202f]/;

/** In order of preference. A tab parts words that hold blanks; between blanks there are two columns. */
export const FORMS: readonly Form[] = [
  (text) => {
    const [, word, count] = /^([^\t]+)\t *(\S+)\s*$/.exec(text) ?? [];
    return makeEntry(count, word);
  },
  (text) => {
    const filled = text.trimEnd();
    const at = findLastColumn(filled);
    return at === 0 ? undefined : makeEntry(filled.slice(at), findWord(filled.slice(0, at - 1)));
  },
  (text) => {
    const [, count, word] = /^ *(\S+) *\t([^\t]*[^\t\s])\s*$/.exec(text) ?? [];
    return makeEntry(count, word);
  },
  (text) => {
    const filled = text.trimStart();
    const at = filled.search(/\s/);
    return at < 0 ? undefined : makeEntry(filled.slice(0, at), findWord(filled.slice(at + 1)));
  },
  (text) => {
    const written = text.trim();
    return NUMBER.test(written) ? { count: Number(written), written } : undefined;
  },
];

function makeEntry(written: string | undefined, word: string | undefined): Entry | undefined {
  if (written === undefined || word === undefined || !NUMBER.test(written)) return undefined;
  return { word, count: Number(written), written };
}

/** Where the last run without white space begins. A search for it from the left would take quadratic time. */
function findLastColumn(text: string): number {
  let at = text.length;
  while (at > 0 && !/\s/.test(text[at - 1]!)) at -= 1;
  return at;
}

/** The one word of a text without blanks in it; `undefined` where there are more, or none. */
function findWord(text: string): string | undefined {
  const filled = text.search(/\S/);
  const begin = filled < 0 ? findLastSeparator(text) : filled;
  const length = text.slice(begin).search(BLANK);
  const end = length < 0 ? text.length : begin + length;
  return begin < end && text.slice(end).trim() === '' ? text.slice(begin, end) : undefined;
}

/** A separator that is no blank can be a word itself. */
function findLastSeparator(text: string): number {
  let at = text.length - 1;
  while (at >= 0 && BLANK.test(text[at]!)) at -= 1;
  return at < 0 ? text.length : at;
}
