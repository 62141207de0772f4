/** Runs in the page: every visible text whose contrast with its ground is below WCAG AA, 4.5:1. */
export function lowContrast(): string[] {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('This browser has no 2D canvas to read colours with.');

  /** Any CSS colour as [red, green, blue, alpha], 0 to 255. */
  const channels = (color: string): number[] => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  // WCAG 2.2, relative luminance.
  const luminance = (color: string): number => {
    const [r = 0, g = 0, b = 0] = channels(color).map((c) =>
      c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element: Element): string => {
    for (let node: Element | null = element; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (channels(color)[3] === 255) return color;
    }
    return 'white';
  };
  const ratio = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

  const hasText = (element: Element): boolean =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
  return [...document.body.querySelectorAll('*')]
    .filter((element) => hasText(element) && element.getClientRects().length > 0)
    .flatMap((element) => {
      const style = getComputedStyle(element);
      const color = element instanceof SVGElement ? style.fill : style.color;
      const contrast = ratio(luminance(color), luminance(ground(element)));
      const name = `${element.tagName} "${element.textContent?.slice(0, 30)}"`;
      return contrast < 4.5 ? [`${name}: ${contrast.toFixed(2)}`] : [];
    });
}
