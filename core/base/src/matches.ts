/**
 * Whether a name fits one of the patterns. In a pattern `*` stands for any text, `/` and the empty
 * text included, at any place and as often as needed; every other character stands for itself.
 * The pattern must fit the whole name, and upper and lower case differ.
 *
 * @param patterns One pattern, or several of which any may fit; with none, nothing fits.
 * @example
 * matches('block_*', 'block_1/kernel'); // true
 * matches('conv*_bn', 'conv2_block1_bn'); // true
 * matches(['dense', 'conv*'], 'dense_1'); // false
 */
export function matches(patterns: string | readonly string[], name: string): boolean {
  return [patterns].flat().some((pattern) => fits(pattern, name));
}

function fits(pattern: string, name: string): boolean {
  const [start = '', ...middle] = pattern.split('*');
  const end = middle.pop();
  if (end === undefined) return name === start;
  let at = start.length;
  for (const part of middle) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.startsWith(start) && name.endsWith(end) && name.length >= at + end.length;
}
