/** A box of whole pixels, from `top` and `left` to before `bottom` and `right`. */
export interface Box {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Rows, then columns. */
type Pair = readonly [vertical: number, horizontal: number];

/**
 * The box of `size` pixels around a pixel, clipped at the borders of the image. Of an even size, the
 * pixel is the first after the middle.
 *
 * @param centre row and column.
 * @param size rows and columns of the box, whole numbers.
 * @param sides height and width of the image.
 */
export function boxAround(centre: Pair, size: Pair, sides: Pair): Box {
  const range = (axis: 0 | 1) => {
    const start = centre[axis] - Math.floor(size[axis] / 2);
    return [Math.max(start, 0), Math.min(start + size[axis], sides[axis])] as const;
  };
  const [[top, bottom], [left, right]] = [range(0), range(1)];
  return { top, bottom, left, right };
}

/** A pixel of an image, each as likely: row, then column. */
export function drawPixel([height, width]: Pair, draw: () => number): Pair {
  const row = Math.floor(draw() * height);
  return [row, Math.floor(draw() * width)];
}

export function isInside({ top, bottom, left, right }: Box, row: number, column: number): boolean {
  return row >= top && row < bottom && column >= left && column < right;
}
