/** Numbers by epoch, for each line; the first has epoch 1. */
export type Lines = readonly (readonly number[])[];

const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 40;

/** Draws lines of shares, 0 to 1, over epochs. */
export function drawCurve(svg: SVGSVGElement, lines: Lines, epochs: number): void {
  const width = svg.clientWidth;
  const x = (epoch: number) => LEFT + ((epoch - 1) / Math.max(1, epochs - 1)) * (width - LEFT - 12);
  const y = (share: number) => 8 + (1 - share) * (HEIGHT - BOTTOM - 8);
  svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      element('line', { class: 'grid', x1: LEFT, x2: width - 12, y1: y(share), y2: y(share) }),
      label(`${100 * share}%`, LEFT - 8, y(share) + 4, 'end'),
    ]),
    ...[1, Math.round((1 + epochs) / 2), epochs]
      .filter((epoch, i, all) => all.indexOf(epoch) === i)
      .map((epoch) => label(String(epoch), x(epoch), HEIGHT - BOTTOM + 20, 'middle')),
    label('epoch', (LEFT + width - 12) / 2, HEIGHT - 2, 'middle'),
    ...lines.map((line, i) => {
      const points = line.map((share, epoch) => `${x(epoch + 1)},${y(share)}`).join(' ');
      return element('polyline', { class: `series-${i}`, points });
    }),
  );
}

function element(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function label(text: string, x: number, y: number, anchor: 'end' | 'middle'): SVGElement {
  const made = element('text', { x, y, 'text-anchor': anchor });
  made.textContent = text;
  return made;
}
