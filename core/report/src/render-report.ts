import { printable } from '@espalier/base';
import { z } from 'zod';
import { blockSchema, renderBlock } from './block.js';
import type { Markup } from './html.js';
import { html, Markup as Source } from './html.js';
import { pageStyle } from './page-style.js';
import { renderJson } from './text-blocks.js';
import { validate } from './validate.js';
import { jsonValue, list } from './values.js';

const sectionSchema = z.strictObject({
  heading: z.string(),
  /** A sentence or two below the heading. */
  lead: z.string().optional(),
  blocks: list(blockSchema),
});

const reportSchema = z.strictObject({
  title: z.string(),
  subtitle: z.string().optional(),
  /** When and where it was made, as text; nothing is added where it is left out. */
  generated: z.string().optional(),
  /** The language of the texts. Default `en`. */
  lang: z.string().optional(),
  sections: list(sectionSchema),
  /** Shown as collapsible JSON at the end: configuration, versions, seeds. */
  manifest: jsonValue.optional(),
});

export type Section = Readonly<z.infer<typeof sectionSchema>>;

/** A page as plain data. */
export type Report = Readonly<z.infer<typeof reportSchema>>;

function renderSection({ heading, lead, blocks }: Section, index: number): Markup {
  const id = `section-${index + 1}`;
  const rendered = blocks.map((block, i) => html`${renderBlock(block, `${id}-block-${i + 1}`)} `);
  return html`<section id="${id}" aria-labelledby="${id}-heading">
    <h2 id="${id}-heading">${heading}</h2>
    ${lead === undefined ? lead : html`<p class="lead">${lead}</p>`}
    <div class="blocks">${rendered}</div>
  </section> `;
}

/** A way through a page that is too long to see at once. */
function renderContents(sections: readonly Section[]): Markup | undefined {
  if (sections.length < 3) return undefined;
  const items = sections.map(
    ({ heading }, i) => html`<li><a href="#section-${i + 1}">${heading}</a></li>`,
  );
  return html`<nav aria-label="Contents">
    <ul>
      ${items}
    </ul>
  </nav>`;
}

function renderManifest(manifest: unknown): Markup | undefined {
  if (manifest === undefined) return undefined;
  return html`<section id="manifest" aria-labelledby="manifest-heading">
    <h2 id="manifest-heading">Manifest</h2>
    <div class="blocks">
      ${renderJson({ summary: 'Configuration and versions of this report', value: manifest })}
    </div>
  </section> `;
}

/** The policy makes the browser refuse any script or request, were one ever to slip in. */
function renderPage({ title, subtitle, generated, lang, sections, manifest }: Report): Markup {
  return html`<!doctype html>
    <html lang="${lang ?? 'en'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${new Source(pageStyle)}
        </style>
      </head>
      <body>
        <div class="page">
          <header>
            <h1>${title}</h1>
            ${subtitle === undefined ? subtitle : html`<p class="subtitle">${subtitle}</p>`}
            ${generated === undefined ? generated : html`<p class="generated">${generated}</p>`}
            ${renderContents(sections)}
          </header>
          <main>${sections.map(renderSection)}${renderManifest(manifest)}</main>
        </div>
      </body>
    </html> `;
}

/**
 * One HTML page that holds everything it shows: no scripts and no requests. The same input always
 * gives the same text.
 *
 * @throws {@link ReportError} naming each wrong field by its path, such as
 * `sections[0].blocks[2].columns[1].key`.
 * @example
 * const page = renderReport({
 *   title: 'Digits',
 *   sections: [{ heading: 'Accuracy', blocks: [table({ columns, rows })] }],
 * });
 */
export function renderReport(report: Report): string {
  return printable(renderPage(validate('The report', reportSchema, report)).source);
}
