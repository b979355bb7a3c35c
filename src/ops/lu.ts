/** Gaussian elimination on one n x n matrix, for the reference evaluation of the linear algebra ops. */
export interface Factors {
  /** L below the diagonal (its own diagonal is 1), U on and above, row after row. */
  readonly lu: Float64Array;
  /** Row i of the factors is row `rows[i]` of the matrix. */
  readonly rows: readonly number[];
  /** The determinant's sign from the swaps of rows. */
  readonly sign: number;
  /** The first column without a pivot, -1 when the matrix is invertible. */
  readonly singular: number;
}

/** P A = L U with the largest element of each column as its pivot. */
export function factor(matrix: Float64Array, n: number): Factors {
  const lu = Float64Array.from(matrix);
  const rows = Array.from({ length: n }, (_, i) => i);
  let sign = 1;
  let singular = -1;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(lu[i * n + k]) > Math.abs(lu[pivot * n + k])) pivot = i;
    if (pivot !== k) {
      for (let j = 0; j < n; j++) [lu[k * n + j], lu[pivot * n + j]] = [lu[pivot * n + j], lu[k * n + j]];
      [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
      sign = -sign;
    }
    const divisor = lu[k * n + k];
    if (divisor === 0) {
      if (singular < 0) singular = k;
      continue;
    }
    for (let i = k + 1; i < n; i++) {
      const scale = (lu[i * n + k] /= divisor);
      for (let j = k + 1; j < n; j++) lu[i * n + j] -= scale * lu[k * n + j];
    }
  }
  return { lu, rows, sign, singular };
}

/** The product of the pivots with the sign of the swaps. */
export function determinant(matrix: Float64Array, n: number): number {
  const { lu, sign } = factor(matrix, n);
  let product = sign;
  for (let k = 0; k < n; k++) product *= lu[k * n + k];
  return product;
}

/** Solves A X = B for `columns` right-hand sides: L Y = P B, then U X = Y. */
export function substitute({ lu, rows }: Factors, n: number, b: Float64Array, columns: number): Float64Array {
  const x = new Float64Array(n * columns);
  for (let c = 0; c < columns; c++) {
    for (let i = 0; i < n; i++) {
      let value = b[rows[i] * columns + c];
      for (let j = 0; j < i; j++) value -= lu[i * n + j] * x[j * columns + c];
      x[i * columns + c] = value;
    }
    for (let i = n - 1; i >= 0; i--) {
      let value = x[i * columns + c];
      for (let j = i + 1; j < n; j++) value -= lu[i * n + j] * x[j * columns + c];
      x[i * columns + c] = value / lu[i * n + i];
    }
  }
  return x;
}
