/**
 * What a terminal obeys or hides: control characters but tab and line end, separators of lines, halves of a character,
 * and marks that turn the direction of the text that follows.
 */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that others named or wrote, safe to write to a terminal, a log or a page: each character that a terminal
 * would obey is replaced by U+FFFD. Line ends and tabs stay.
 *
 * @example
 * process.stdout.write(printable(error.message));
 */
export const printable = (text: string): string =>
  text.replaceAll('\r\n', '\n').replace(UNPRINTABLE, '\ufffd');

/**
 * The same on one line, as a name must be that stands in a line or a cell.
 *
 * @example
 * printableLine('a\nb\u001b[2J'); // 'a b\ufffd[2J'
 */
export const printableLine = (text: string): string =>
  printable(text.replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ').replaceAll('\t', ' '));

/** JSON text with such characters escaped: the same data. */
export const escapeJson = (json: string): string =>
  json.replace(
    UNPRINTABLE,
    (char) => String.raw`\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/**
 * Text as a string of JavaScript, in single quotes, that no name can end.
 *
 * @example
 * quoteCode("it's"); // "'it\\'s'"
 */
export function quoteCode(text: string): string {
  const inside = JSON.stringify(text).slice(1, -1);
  return `'${escapeJson(inside)
    .replaceAll(String.raw`\"`, '"')
    .replaceAll("'", String.raw`\'`)}'`;
}

/**
 * Text as one word of a POSIX shell; what needs no quotes stays as it is.
 *
 * @example
 * quoteWord("a b; rm x"); // "'a b; rm x'"
 */
export function quoteWord(text: string): string {
  const word = printable(text);
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
