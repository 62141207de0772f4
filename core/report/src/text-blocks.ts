import { printValue } from '@espalier/base';
import { z } from 'zod';
import type { Markup } from './html.js';
import { html } from './html.js';
import { writeTable } from './table.js';
import { cellSchema, jsonValue, list } from './values.js';

export const textSchema = z.strictObject({
  kind: z.literal('text'),
  /** Plain text; a blank line starts a paragraph. */
  text: z.string(),
});

export const noteSchema = z.strictObject({
  kind: z.literal('note'),
  level: z.enum(['info', 'warning']),
  text: z.string(),
});

export const keyValuesSchema = z.strictObject({
  kind: z.literal('keyValues'),
  entries: list(z.strictObject({ label: z.string(), value: cellSchema })),
});

export const codeSchema = z.strictObject({
  kind: z.literal('code'),
  /** What the collapsed code is. */
  summary: z.string(),
  text: z.string(),
  /** Whether it is shown at first. Default: collapsed. */
  open: z.boolean().optional(),
});

export const jsonSchema = z.strictObject({
  kind: z.literal('json'),
  summary: z.string(),
  value: jsonValue,
  open: z.boolean().optional(),
});

export type TextBlock = Readonly<z.infer<typeof textSchema>>;
export type Note = Readonly<z.infer<typeof noteSchema>>;
export type KeyValues = Readonly<z.infer<typeof keyValuesSchema>>;
export type Code = Readonly<z.infer<typeof codeSchema>>;
export type Json = Readonly<z.infer<typeof jsonSchema>>;

/** Makes a block of paragraphs. */
export const text = (content: string): TextBlock => ({ kind: 'text', text: content });

/** Makes a note that stands out. */
export const note = (spec: Omit<Note, 'kind'>): Note => ({ kind: 'note', ...spec });

/** Makes a list of labelled values, such as the facts of a run. */
export const keyValues = (entries: KeyValues['entries']): KeyValues => ({
  kind: 'keyValues',
  entries,
});

/** Makes a collapsible listing. */
export const code = (spec: Omit<Code, 'kind'>): Code => ({ kind: 'code', ...spec });

/** Makes a collapsible JSON value. */
export const json = (spec: Omit<Json, 'kind'>): Json => ({ kind: 'json', ...spec });

const paragraphs = (content: string): Markup[] =>
  content.split(/\n\s*\n/).map((paragraph) => html`<p>${paragraph}</p> `);

export const renderText = (block: TextBlock): Markup =>
  html`<div class="block full prose">${paragraphs(block.text)}</div>`;

export function renderNote({ level, text: content }: Note): Markup {
  const name = level === 'warning' ? 'Warning' : 'Note';
  return html`<div class="block full note ${level}" role="note">
    <strong>${name}</strong>${paragraphs(content)}
  </div>`;
}

export function renderKeyValues({ entries }: KeyValues): Markup {
  const columns = [{ key: 'value', label: '' }];
  const written = writeTable({ kind: 'table', columns, rows: entries }).rows;
  const items = entries.map(
    ({ label }, i) =>
      html`<div>
        <dt>${label}</dt>
        <dd>${written[i]?.[0]?.text}</dd>
      </div> `,
  );
  return html`<dl class="block full">${items}</dl>`;
}

export const renderCode = ({ summary, text: content, open }: Omit<Code, 'kind'>): Markup => {
  const body = html`<summary>${summary}</summary>
    <pre tabindex="0"><code>${content}</code></pre>`;
  return open
    ? html`<details class="block full" open>${body}</details>`
    : html`<details class="block full">${body}</details>`;
};

/** As JSON, with NaN and infinities as they are. */
export const renderJson = ({ value, ...rest }: Omit<Json, 'kind'>): Markup =>
  renderCode({ ...rest, text: printValue(value, 2) });
