import type { Markup } from './html.js';
import { html } from './html.js';
import type { Table, WrittenTable } from './table.js';
import { writeTable } from './table.js';

/** Bold is not read aloud, so best values say it. */
const renderText = (cell: { readonly text: string; readonly best: boolean }): Markup =>
  cell.best
    ? html`<strong>${cell.text}<span class="unseen"> (best)</span></strong>`
    : html`${cell.text}`;

/** A heading of few characters stands on one line, so that `exit 1` does not break over `85%`. */
function renderHeading({ label, align }: WrittenTable['columns'][number]): Markup {
  const short = label.length <= 12 ? 'short' : '';
  return html`<th scope="col" class="${align} ${short}">${label}</th>`;
}

/** The CSS class that gives a long text more width. */
const classByLength = ({ text }: { readonly text: string }): string =>
  text.length > 16 ? 'long' : '';

function renderTableElement(table: Table): Markup {
  const { columns, rows } = writeTable(table);
  const align = (i: number): string => columns[i]?.align ?? 'left';
  const body = rows.map(([name, ...cells]) => {
    const first =
      name &&
      html`<th scope="row" class="${align(0)} ${classByLength(name)}">${renderText(name)}</th>`;
    const rest = cells.map(
      (cell, i) =>
        html`<td class="${align(i + 1)} ${classByLength(cell)}">${renderText(cell)}</td>`,
    );
    return html`<tr>
      ${first}${rest}
    </tr> `;
  });
  return html`<table>
    <thead>
      <tr>
        ${columns.map(renderHeading)}
      </tr>
    </thead>
    <tbody>
      ${body}
    </tbody>
  </table>`;
}

/** The table in a container of its own that scrolls, by keyboard too, where the page is narrow. */
export function renderScroller(table: Table, label: string): Markup {
  if (table.rows.length === 0) return html`<p class="empty">No rows.</p>`;
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">
    ${renderTableElement(table)}
  </div>`;
}

/** The table block with its title and caption. */
export function renderTable(table: Table, id: string): Markup {
  const { title, caption } = table;
  return html`<figure id="${id}" class="block full">
    ${title === undefined ? title : html`<h3>${title}</h3>`}
    ${renderScroller(table, title ?? caption ?? 'Table')}
    ${caption === undefined ? caption : html`<figcaption>${caption}</figcaption>`}
  </figure>`;
}
