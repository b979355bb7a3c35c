import { checkOptions, GraftError } from "../base/index.js";
import { computeDType, defineOp, record, showShape, sizeOf, type Op, type RefArray, type Shape, type Tensor } from "../graph/index.js";
import { indexSelect } from "./gather.js";
import { matmul } from "./matmul.js";
import { expand, reshape, transpose } from "./movement.js";
import { asTensor } from "./operand.js";
import { add, cast, floorDivide, mul, sub } from "./scalar.js";
import { narrow, stack } from "./split.js";

/**
 * A matrix [rows, columns] stored in blocks of few bits: value e (row by row) is `book`[code e] times the scale of block e / blockSize. Two 4-bit codes share a
 * byte, the first in the upper half. With `scales` in u8 they are stored in few bits too: scale j = `second`[0] + `second`[1 + floor(j / 256)] * (`scales`[j] - 128).
 */
export interface QuantMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 4 | 8;
  /** Values per scale, a power of two. */
  readonly blockSize: number;
  /** u8 [rows * columns * bits / 8]. */
  readonly codes: Tensor;
  /** One per block, f32 or u8. */
  readonly scales: Tensor;
  /** f32; [1] and without a meaning where the scales are f32. */
  readonly second: Tensor;
  /** f32 [2^bits]. */
  readonly book: Tensor;
}

type QuantAttrs = { readonly rows: number; readonly columns: number; readonly bits: number; readonly blockSize: number; readonly transposed: boolean };

/** Scales of one second-level step. */
const perStep = 256;

/** x [..., columns] -> x W^T [..., rows], or with `transposed` x [..., rows] -> x W [..., columns]; inputs after x as in {@link QuantMatrix}. */
const quantLinearOp: Op<QuantAttrs> = defineOp<QuantAttrs>({
  name: "quantLinear",
  trait: "opaque",
  infer: ([x], { rows, columns, transposed }) => ({ shape: [...x.shape.slice(0, -1), transposed ? columns : rows], dtype: x.dtype }),
  // y = x W^T: dx = dy W, and the other way round; the matrix is frozen
  vjp: ({ inputs: [, ...matrix], grad, attrs }) => [record(quantLinearOp, [grad, ...matrix], { ...attrs, transposed: !attrs.transposed })],
  evaluate: ([x, ...matrix], attrs, [y]) => {
    const { rows, columns, transposed } = attrs;
    const w = values(matrix, attrs);
    const [K, N] = transposed ? [rows, columns] : [columns, rows];
    const count = sizeOf(x.shape.slice(0, -1));
    y.data.fill(0);
    for (let m = 0; m < count; m++) {
      for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) y.data[m * N + n] += x.data[m * K + k] * w[transposed ? k * columns + n : n * columns + k];
    }
  },
  composite: ([x, codes, scales, second, book], attrs) => {
    const w = plain({ ...attrs, bits: attrs.bits as 4 | 8, codes, scales, second, book }, x.dtype === "f64" ? "f64" : "f32");
    return matmul(x, attrs.transposed ? w : transpose(w));
  },
  kernel: ([x], { rows, columns, bits, blockSize, transposed }) =>
    x.dtype === "f32" || x.dtype === "f64" ? { name: "quantLinear", attrs: [rows, columns, bits, blockSize, Number(transposed)], epilogue: true } : undefined,
  flops: ([x], { rows, columns }) => 2 * sizeOf(x.shape.slice(0, -1)) * rows * columns,
});

/** All values of the matrix, by the definition. */
function values([codes, scales, second, book]: readonly RefArray[], { rows, columns, bits, blockSize }: QuantAttrs): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, e) => {
    const block = Math.floor(e / blockSize);
    const scale = scales.dtype === "u8" ? second.data[0] + second.data[1 + Math.floor(block / perStep)] * (scales.data[block] - 128) : scales.data[block];
    const code = bits === 8 ? codes.data[e] : e % 2 === 0 ? codes.data[e / 2] >> 4 : codes.data[(e - 1) / 2] & 15;
    return book.data[code] * scale;
  });
}

/** Each value `times` times in a row, then cut to `length`. */
const spread = (x: Tensor, times: number, length: number): Tensor => narrow(reshape(expand(reshape(x, [x.size, 1]), [x.size, times]), [x.size * times]), 0, 0, length);

/** The matrix from other ops. */
function plain({ rows, columns, bits, blockSize, codes, scales, second, book }: QuantMatrix, dtype: "f32" | "f64"): Tensor {
  const count = rows * columns;
  let code = cast(codes, "i32");
  if (bits === 4) {
    const high = floorDivide(code, 16);
    code = narrow(reshape(stack([high, sub(code, mul(high, 16))], 1), [2 * code.size]), 0, 0, count);
  }
  let scale = cast(scales, dtype);
  if (scales.dtype === "u8") {
    const [middle, steps] = [narrow(second, 0, 0, 1), narrow(second, 0, 1, second.size - 1)].map((x) => cast(x, dtype));
    scale = add(middle, mul(spread(steps, perStep, scale.size), sub(scale, 128)));
  }
  return reshape(mul(cast(indexSelect(book, 0, code), dtype), spread(scale, blockSize, count)), [rows, columns]);
}

function check(op: string, matrix: QuantMatrix): void {
  const { rows, columns, bits, blockSize, codes, scales, second, book } = matrix;
  const count = rows * columns;
  const blocks = Math.ceil(count / blockSize);
  const problems: string[] = [];
  const expected = (name: string, tensor: Tensor, dtypes: readonly string[], shape: Shape): void => {
    const found = asTensor(op, name, tensor);
    if (!dtypes.includes(found.dtype) || found.shape.join() !== shape.join()) problems.push(`${name} is ${found.dtype} ${showShape(found.shape)}, not ${dtypes.join(" or ")} ${showShape(shape)}`);
  };
  if (bits !== 4 && bits !== 8) problems.push(`bits is ${String(bits)}, not 4 or 8`);
  if (!Number.isInteger(Math.log2(blockSize)) || blockSize < 2) problems.push(`blockSize is ${blockSize}, not a power of two`);
  if (problems.length === 0) {
    expected("codes", codes, ["u8"], [Math.ceil((count * bits) / 8)]);
    expected("scales", scales, ["f32", "u8"], [blocks]);
    expected("second", second, ["f32"], [scales.dtype === "u8" ? 1 + Math.ceil(blocks / perStep) : 1]);
    expected("book", book, ["f32"], [2 ** bits]);
  }
  if (problems.length > 0) throw new GraftError("shape", `${op}: the matrix [${rows}, ${columns}] does not fit together: ${problems.join("; ")}. Use tune.quantize to make one.`);
}

/**
 * y = x W^T with a frozen W [rows, columns] in blocks of few bits, unpacked inside the kernel and never stored as a whole: [..., columns] -> [..., rows]. With
 * `transposed` y = x W: [..., rows] -> [..., columns]. dy/dx = W; the matrix gets no gradient.
 *
 * Throws `shape` where x does not fit the matrix.
 * @example quantLinear(x, tune.quantize(weight, { type: "nf4" })); // [B, T, K] x [N, K] -> [B, T, N]
 */
export function quantLinear(x: Tensor, matrix: QuantMatrix, options: { readonly transposed?: boolean } = {}): Tensor {
  checkOptions("quantLinear", options, ["transposed"]);
  check("quantLinear", matrix);
  const { transposed = false } = options;
  const { rows, columns, bits, blockSize, codes, scales, second, book } = matrix;
  const inner = transposed ? rows : columns;
  if (asTensor("quantLinear", "x", x).ndim === 0 || x.shape[x.ndim - 1] !== inner) throw new GraftError("shape", `quantLinear: x is ${showShape(x.shape)}, the matrix [${rows}, ${columns}]. The last dim of x must be ${inner}.`);
  return cast(record(quantLinearOp, [cast(x, computeDType(x.dtype)), codes, scales, second, book], { rows, columns, bits, blockSize, transposed }), x.dtype);
}

/** The matrix [rows, columns] as an ordinary f32 tensor. */
export function dequantize(matrix: QuantMatrix): Tensor {
  check("dequantize", matrix);
  return plain(matrix, "f32");
}
