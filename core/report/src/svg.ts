import type { PlotOptions } from '@observablehq/plot';
import { plot } from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { Markup } from './html.js';

/** A fresh document for each drawing: nothing that one plot does can show in another. */
const createDocument = (): Document => parseHTML('<!doctype html><html></html>').document;

/** Room for one character of tick text in ems: that of a wide system font. */
const characterEms = 0.64;

/** The width in ems that a text takes at most. */
export const textEms = (text: string): number => [...text].length * characterEms;

/** The text on one line, cut with an ellipsis where it would be wider than `ems`. */
export function fitText(text: string, ems: number): string {
  const characters = [...text.replace(/\s+/g, ' ')];
  const room = Math.max(1, Math.floor(ems / characterEms));
  if (characters.length <= room) return characters.join('');
  return `${characters
    .slice(0, room - 1)
    .join('')
    .trimEnd()}…`;
}

/** Draws with the library, without its own style sheet: the page has one. */
function draw(options: PlotOptions): Element {
  const svg = plot({ ...options, document: createDocument(), figure: false });
  svg.querySelector('style')?.remove();
  return svg;
}

/** The width in ems of the widest tick label that the y axis of a plot gets. */
export function tickEms(options: PlotOptions): number {
  const texts = draw({ ...options, y: { ...options.y, label: null } }).querySelectorAll('text');
  return Math.max(0, ...[...texts].map((text) => textEms(text.textContent ?? '')));
}

/** What makes a drawing accessible; `id` is unique in the page. */
export interface SvgLabel {
  readonly id: string;
  readonly title: string;
  readonly description: string;
}

function prepend(svg: Element, name: string, id: string, text: string): void {
  const element = svg.ownerDocument.createElementNS('http://www.w3.org/2000/svg', name);
  element.setAttribute('id', id);
  element.textContent = text;
  svg.insertBefore(element, svg.firstChild);
}

/** Draws to SVG source that scales with its container; unlabelled drawings are decoration. */
export function drawSvg(options: PlotOptions, fontSize: number, label?: SvgLabel): Markup {
  const svg = draw(options);
  svg.removeAttribute('class');
  svg.removeAttribute('font-family');
  svg.setAttribute('font-size', String(fontSize));
  if (!label) {
    svg.setAttribute('aria-hidden', 'true');
    return new Markup(svg.outerHTML);
  }
  svg.removeAttribute('width');
  svg.removeAttribute('height');
  prepend(svg, 'desc', `${label.id}-desc`, label.description);
  prepend(svg, 'title', `${label.id}-title`, label.title);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-labelledby', `${label.id}-title ${label.id}-desc`);
  return new Markup(svg.outerHTML);
}
