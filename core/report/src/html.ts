/** HTML source that is safe to insert as it is. */
export class Markup {
  constructor(readonly source: string) {}
}

type Part = string | number | Markup | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escape = (text: string): string => text.replace(/[&<>"']/g, (char) => entities[char] ?? char);

function toSource(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.source;
  if (typeof part === 'object') return part.map(toSource).join('');
  return escape(String(part));
}

/** Template tag that escapes every value except `Markup`; attribute values must be in quotes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const source = strings.map((text, i) => text + toSource(parts[i])).join('');
  return new Markup(source);
}
