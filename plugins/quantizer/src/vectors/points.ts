import type { Matrix } from '@espalier/compression';

/** Points of one width, one behind the other, and how much each counts. */
export interface Points {
  /** `[count, width]`. */
  readonly data: Float32Array;
  readonly count: number;
  readonly width: number;
  /** `[count]`; default all alike. */
  readonly weights?: Float64Array | undefined;
}

/** Which columns of a matrix, `[from, from + width)`. */
export interface Columns {
  readonly from: number;
  readonly width: number;
}

/** The numbers of these columns, in rows `begin … begin + count − 1`. */
export function takePoints(
  { data, columns }: Matrix,
  { from, width }: Columns,
  begin: number,
  count: number,
): Points {
  if (width === columns) {
    return { data: data.subarray(begin * columns, (begin + count) * columns), count, width };
  }
  const taken = new Float32Array(count * width);
  for (let i = 0, to = 0, at = begin * columns + from; i < count; i++, at += columns) {
    for (let j = 0; j < width; j++) taken[to++] = data[at + j]!;
  }
  return { data: taken, count, width };
}

/** The first `count` of the points. */
export function firstPoints({ data, width, weights }: Points, count: number): Points {
  return {
    data: data.subarray(0, count * width),
    count,
    width,
    weights: weights?.subarray(0, count),
  };
}

/** The transpose. */
export function transposeMatrix({ data, rows, columns }: Matrix): Matrix {
  const turned = new Float32Array(data.length);
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = data[at++]!;
  }
  return { data: turned, rows: columns, columns: rows };
}
