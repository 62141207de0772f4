/** Some rows of a matrix, one after the other: `[select.length, columns]`. */
export function selectRows(data: Float32Array, select: Int32Array, columns: number): Float32Array {
  const selected = new Float32Array(select.length * columns);
  select.forEach((row, i) => {
    selected.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return selected;
}

/** The transpose `[columns, rows]`. */
export function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j]!;
  }
  return turned;
}

/** The inverse of a permutation: of an order of rows the position of each. */
export function invert(order: Int32Array): Int32Array {
  const positions = new Int32Array(order.length);
  order.forEach((row, position) => {
    positions[row] = position;
  });
  return positions;
}
