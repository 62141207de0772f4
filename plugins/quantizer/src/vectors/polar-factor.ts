import { multiply, squareRoot } from '@espalier/linalg';

/** Share of a matrix's size that is added to its diagonal: it decides where the matrix says nothing. */
const DAMPING = 1e-6;
/** Newton–Schulz steps; each squares the distance from orthogonal. */
const POLISHING = 4;

/**
 * The orthogonal matrix nearest to a square one `[size, size]`, row-major: `M (MᵀM)^(−½)`, polished until it is
 * orthogonal in float64. It maximizes tr(RᵀM) (orthogonal Procrustes). Where M is singular, it stays
 * near the identity.
 */
export async function findPolarFactor(matrix: Float64Array, size: number): Promise<Float64Array> {
  const scale = Math.sqrt(matrix.reduce((sum, x) => sum + x * x, 0) / size);
  if (scale === 0) return addDiagonal(matrix, size, 1);
  const damped = addDiagonal(
    matrix.map((x) => x / scale),
    size,
    DAMPING,
  );
  const { inverse } = await squareRoot(multiply(transpose(damped, size), damped, size), size, {
    ridge: 1e-15,
  });
  let factor = multiply(damped, inverse, size);
  for (let i = 0; i < POLISHING; i++) factor = polish(factor, size);
  return factor;
}

/** `1.5 R − 0.5 R RᵀR` (Newton–Schulz). */
function polish(factor: Float64Array, size: number): Float64Array {
  const gap = multiply(factor, multiply(transpose(factor, size), factor, size), size);
  return factor.map((x, i) => 1.5 * x - 0.5 * gap[i]!);
}

function transpose(matrix: Float64Array, size: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % size) * size + Math.floor(i / size)]!);
}

function addDiagonal(matrix: Float64Array, size: number, value: number): Float64Array {
  return matrix.map((x, i) => (i % (size + 1) === 0 ? x + value : x));
}
