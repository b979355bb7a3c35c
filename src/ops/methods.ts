import { Tensor, type DType, type Shape } from "../graph/index.js";
import { at, type Index } from "./at.js";
import * as F from "./functional.js";
import type { VectorNormOptions } from "./distance.js";
import type { Operand } from "./operand.js";
import type { ReduceOptions } from "./reduce.js";

/** A shape or list of dims, as one array or as several numbers: `x.reshape([2, -1])` or `x.reshape(2, -1)`. */
export type Sizes = readonly number[] | [readonly number[]];
const list = (sizes: Sizes): readonly number[] => (Array.isArray(sizes[0]) ? sizes[0] : sizes) as readonly number[];

type VarianceOptions = ReduceOptions & { readonly correction?: number };
type ArgOptions = Parameters<typeof F.argmax>[1];
type SortOptions = Parameters<typeof F.sort>[1];
type TopkOptions = Parameters<typeof F.topk>[2];

/** The functions of `F` that are also methods of {@link Tensor}; `x.f(...)` is `F.f(x, ...)`. */
export interface TensorMethods {
  /** x + other */
  add(other: Operand): Tensor;
  /** x - other */
  sub(other: Operand): Tensor;
  /** x * other */
  mul(other: Operand): Tensor;
  /** x / other */
  div(other: Operand): Tensor;
  /** x raised to a power */
  pow(exponent: Operand): Tensor;
  /** The remainder with the sign of `other`. */
  remainder(other: Operand): Tensor;
  floorDivide(other: Operand): Tensor;
  maximum(other: Operand): Tensor;
  minimum(other: Operand): Tensor;
  neg(): Tensor;
  abs(): Tensor;
  sign(): Tensor;
  floor(): Tensor;
  ceil(): Tensor;
  round(): Tensor;
  trunc(): Tensor;
  square(): Tensor;
  sqrt(): Tensor;
  rsqrt(): Tensor;
  reciprocal(): Tensor;
  exp(): Tensor;
  expm1(): Tensor;
  log(): Tensor;
  log1p(): Tensor;
  sin(): Tensor;
  cos(): Tensor;
  erf(): Tensor;
  relu(): Tensor;
  sigmoid(): Tensor;
  tanh(): Tensor;
  softmax(dim?: number): Tensor;
  logSoftmax(dim?: number): Tensor;
  /** Clamped to [min, max]; either may be absent. */
  clamp(options: { readonly min?: Operand; readonly max?: Operand }): Tensor;

  /** 1 where equal */
  eq(other: Operand): Tensor;
  ne(other: Operand): Tensor;
  lt(other: Operand): Tensor;
  le(other: Operand): Tensor;
  gt(other: Operand): Tensor;
  ge(other: Operand): Tensor;
  logicalAnd(other: Tensor): Tensor;
  logicalOr(other: Tensor): Tensor;
  logicalNot(): Tensor;
  isnan(): Tensor;
  any(options?: ReduceOptions): Tensor;
  all(options?: ReduceOptions): Tensor;
  /** x where `condition` is not 0, `other` elsewhere. */
  where(condition: Tensor, other: Operand): Tensor;
  /** `value` where `mask` is not 0, x elsewhere. */
  maskedFill(mask: Tensor, value: Operand): Tensor;

  sum(options?: ReduceOptions): Tensor;
  mean(options?: ReduceOptions): Tensor;
  prod(options?: ReduceOptions): Tensor;
  max(options?: ReduceOptions): Tensor;
  min(options?: ReduceOptions): Tensor;
  var(options?: VarianceOptions): Tensor;
  std(options?: VarianceOptions): Tensor;
  norm(options?: VectorNormOptions): Tensor;
  logsumexp(options?: ReduceOptions): Tensor;
  argmax(options?: ArgOptions): Tensor;
  argmin(options?: ArgOptions): Tensor;
  cumsum(dim: number): Tensor;
  cumprod(dim: number): Tensor;
  /** [values, indices] in order along a dim. */
  sort(options?: SortOptions): [values: Tensor, indices: Tensor];
  /** [values, indices] of the k largest along a dim. */
  topk(k: number, options?: TopkOptions): [values: Tensor, indices: Tensor];

  matmul(other: Tensor): Tensor;
  mm(other: Tensor): Tensor;
  bmm(other: Tensor): Tensor;
  dot(other: Tensor): Tensor;
  outer(other: Tensor): Tensor;

  /** The same elements in another shape; one size may be -1. */
  reshape(...shape: Sizes): Tensor;
  /** Another name of `reshape`. */
  view(...shape: Sizes): Tensor;
  /** Dims startDim to endDim become one. */
  flatten(startDim?: number, endDim?: number): Tensor;
  unflatten(dim: number, sizes: Shape): Tensor;
  /** Swaps two dims (the last two by default). */
  transpose(a?: number, b?: number): Tensor;
  /** Transpose of a matrix; vectors and scalars stay. */
  t(): Tensor;
  permute(...dims: Sizes): Tensor;
  squeeze(dim?: number | readonly number[]): Tensor;
  unsqueeze(dim: number): Tensor;
  /** Stretches dims of size 1; -1 keeps a size. */
  expand(...shape: Sizes): Tensor;
  repeat(...sizes: Sizes): Tensor;
  repeatInterleave(times: number, dim?: number): Tensor;
  flip(...dims: Sizes): Tensor;
  roll(shifts: number | readonly number[], dims?: number | readonly number[]): Tensor;
  tril(diagonal?: number): Tensor;
  triu(diagonal?: number): Tensor;
  diagonal(offset?: number, dim1?: number, dim2?: number): Tensor;
  /** Part of the tensor by position, range or tensor, one index per dim: `x.at(0)`, `x.at(null, [1, 3])`, `x.at("...", -1)`. */
  at(...index: readonly Index[]): Tensor;
  select(dim: number, index: number): Tensor;
  narrow(dim: number, start: number, length: number): Tensor;
  split(sizes: number | readonly number[], dim?: number): Tensor[];
  chunk(chunks: number, dim?: number): Tensor[];
  unbind(dim?: number): Tensor[];
  gather(dim: number, index: Tensor): Tensor;
  scatterAdd(dim: number, index: Tensor, source: Tensor): Tensor;
  indexSelect(dim: number, index: Tensor): Tensor;

  /** The values as another dtype. */
  to(dtype: DType): Tensor;
  /** The same value, cut off from the gradient. */
  detach(): Tensor;
}

type Implementation = { readonly [K in keyof TensorMethods]: (x: Tensor, ...args: Parameters<TensorMethods[K]>) => ReturnType<TensorMethods[K]> };

const methods: Implementation = {
  ...{ add: F.add, sub: F.sub, mul: F.mul, div: F.div, pow: F.pow, remainder: F.remainder, floorDivide: F.floorDivide, maximum: F.maximum, minimum: F.minimum },
  ...{ neg: F.neg, abs: F.abs, sign: F.sign, floor: F.floor, ceil: F.ceil, round: F.round, trunc: F.trunc, square: F.square, sqrt: F.sqrt, rsqrt: F.rsqrt },
  ...{ reciprocal: F.reciprocal, exp: F.exp, expm1: F.expm1, log: F.log, log1p: F.log1p, sin: F.sin, cos: F.cos, erf: F.erf },
  ...{ relu: F.relu, sigmoid: F.sigmoid, tanh: F.tanh, softmax: F.softmax, logSoftmax: F.logSoftmax },
  clamp: (x, options) => F.clamp(x, options as Parameters<typeof F.clamp>[1]),
  ...{ eq: F.eq, ne: F.ne, lt: F.lt, le: F.le, gt: F.gt, ge: F.ge, logicalAnd: F.logicalAnd, logicalOr: F.logicalOr, logicalNot: F.logicalNot },
  ...{ isnan: F.isnan, any: F.any, all: F.all, maskedFill: F.maskedFill },
  where: (x, condition, other) => F.where(condition, x, other),
  ...{ sum: F.sum, mean: F.mean, prod: F.prod, max: F.max, min: F.min, var: F.var, std: F.std, norm: F.norm, logsumexp: F.logsumexp },
  ...{ argmax: F.argmax, argmin: F.argmin, cumsum: F.cumsum, cumprod: F.cumprod, sort: F.sort, topk: F.topk },
  ...{ matmul: F.matmul, mm: F.mm, bmm: F.bmm, dot: F.dot, outer: F.outer },
  reshape: (x, ...shape) => F.reshape(x, list(shape)),
  view: (x, ...shape) => F.reshape(x, list(shape)),
  ...{ flatten: F.flatten, unflatten: F.unflatten, transpose: F.transpose },
  t: F.t,
  permute: (x, ...dims) => F.permute(x, list(dims)),
  ...{ squeeze: F.squeeze, unsqueeze: F.unsqueeze },
  expand: (x, ...shape) => F.expand(x, list(shape)),
  repeat: (x, ...sizes) => F.repeat(x, list(sizes)),
  flip: (x, ...dims) => F.flip(x, list(dims)),
  ...{ repeatInterleave: F.repeatInterleave, roll: F.roll, tril: F.tril, triu: F.triu, diagonal: F.diagonal, at, select: F.select, narrow: F.narrow },
  ...{ split: F.split, chunk: F.chunk, unbind: F.unbind, gather: F.gather, scatterAdd: F.scatterAdd, indexSelect: F.indexSelect },
  to: F.cast,
  detach: F.detach,
};

for (const [name, fn] of Object.entries(methods)) {
  const run = fn as (x: Tensor, ...args: unknown[]) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: unknown[]): unknown {
      return run(this, ...args);
    },
    writable: true,
    configurable: true,
  });
}

declare module "../graph/tensor.js" {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- this is how the methods become part of the class
  interface Tensor extends TensorMethods {}
}
