import { GraftError, nearest } from "../base/index.js";

/** How weights are stored in few bits; see {@link quantize}. */
export type QuantType = "nf4" | "int4" | "int8";

/**
 * NormalFloat of 4 bits (Dettmers et al., "QLoRA", 2023): quantiles of a normal distribution, scaled to [-1, 1], 8 above zero and 7 below it, and an exact zero. With
 * p = 1 - (1/30 + 1/32) / 2: the quantiles of 8 steps from p to 1/2 for the positive side, of 7 steps for the negative side.
 */
const nf4 = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

/** Steps of equal size, with 0 in the middle and 1 as the last; the lowest value lies below -1 and is never the nearest. */
const steps = (bits: number): number[] => Array.from({ length: 2 ** bits }, (_, code) => (code - 2 ** (bits - 1)) / (2 ** (bits - 1) - 1));

/** What the codes of a type stand for, in f32 and in rising order, for a block whose largest value is 1. */
export interface CodeBook {
  readonly bits: 4 | 8;
  readonly values: Float32Array;
  /** The code of the value nearest to x. */
  readonly nearest: (x: number) => number;
}

/** Parts of [-1, 1] for which the first code that can be nearest is known. */
const parts = 1024;

const book = (bits: 4 | 8, list: readonly number[]): CodeBook => {
  const values = Float32Array.from(list);
  const last = values.length - 1;
  const borders = Float64Array.from({ length: last }, (_, code) => (values[code] + values[code + 1]) / 2);
  const from = (x: number, code: number): number => {
    while (code < last && x > borders[code]) code++;
    return code;
  };
  const first = Uint8Array.from({ length: parts + 1 }, (_, part) => from((2 * part) / parts - 1, 0));
  return { bits, values, nearest: (x) => from(x, x < -1 ? 0 : x >= 1 ? last : first[Math.floor(((x + 1) * parts) / 2)]) };
};

const books: Readonly<Record<QuantType, CodeBook>> = { nf4: book(4, nf4), int4: book(4, steps(4)), int8: book(8, steps(8)) };

/** The code book of a type. Throws `argument` for an unknown one. */
export function codeBook(type: string): CodeBook {
  if (Object.hasOwn(books, type)) return books[type as QuantType];
  const near = nearest(type, Object.keys(books));
  throw new GraftError("argument", `quantize: type is ${JSON.stringify(type)}.${near === undefined ? "" : ` Did you mean "${near}"?`} Use "nf4", "int4" or "int8".`);
}
