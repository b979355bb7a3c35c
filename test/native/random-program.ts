import type { DType, Shape, TypedArray } from "graftml";
import type { RawInstr, RawView } from "./plan.js";

/** Numbers that depend on the seed only (Marsaglia's xorshift). */
export class Chance {
  private state: number;
  constructor(seed: number) {
    this.state = (seed | 0) ^ 0x9e3779b9 || 1;
  }
  unit(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) / 4294967296;
  }
  whole(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }
  pick<T>(list: readonly T[]): T {
    return list[this.whole(0, list.length - 1)];
  }
}

type Class = "f32" | "f64" | "i32";
export const classOf = (dtype: DType): Class => (dtype === "f64" ? "f64" : dtype === "f32" || dtype === "bf16" || dtype === "f16" ? "f32" : "i32");

const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u8: Uint8Array, bool: Uint8Array, bf16: Uint16Array, f16: Uint16Array };
const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);
/** f32 to bf16, to nearest even (the values here are finite). */
function toBf16(x: number): number {
  single[0] = x;
  return ((word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16) & 0xffff;
}
function fromBf16(bits: number): number {
  word[0] = bits << 16;
  return single[0];
}
/** What a view holds after `x` is stored into it. */
export const stored = (dtype: DType, x: number): number => (dtype === "bf16" ? fromBf16(toBf16(x)) : dtype === "bool" ? Number(x !== 0) : dtype === "u8" ? x & 255 : x);

/** Every index of a shape, in order. */
export function* indices(shape: Shape): Generator<number[]> {
  const index = shape.map(() => 0);
  for (let left = shape.reduce((n, size) => n * size, 1); left > 0; left--) {
    yield index;
    for (let d = shape.length - 1; d >= 0 && ++index[d] === shape[d]; d--) index[d] = 0;
  }
}

export function valueAt({ memory, dtype, stride, offset }: RawView, index: readonly number[]): number {
  const step = index.reduce((sum, i, d) => sum + i * stride[d], 0);
  if (memory === undefined) return offset + step;
  const array = memory as TypedArray;
  const x = array[offset / array.BYTES_PER_ELEMENT + step];
  return dtype === "bf16" ? fromBf16(x) : dtype === "bool" ? Number(x !== 0) : x;
}

/** A view of fresh memory: dimensions in any order, some backwards, some broadcast (inputs only), some with gaps; or a virtual index. */
export function randomView(chance: Chance, shape: Shape, dtype: DType, isInput: boolean): RawView {
  if (isInput && dtype === "i32" && chance.unit() < 0.2) return { dtype, shape, stride: shape.map(() => chance.whole(-3, 5)), offset: chance.whole(-10, 10) };
  const order = shape.map((_, d) => d);
  if (chance.unit() < 0.4) for (let d = order.length - 1; d > 0; d--) order.push(...order.splice(chance.whole(0, d), 1));
  const stride = shape.map(() => 0);
  const scalar = isInput && chance.unit() < 0.15;
  let next = chance.unit() < 0.2 ? 2 : 1;
  for (const d of order.reverse()) {
    if (scalar || (isInput && chance.unit() < 0.2)) continue;
    stride[d] = chance.unit() < 0.1 ? -next : next;
    next = next * Math.max(1, shape[d]) + Number(chance.unit() < 0.1);
  }
  const reach = (sign: number): number => stride.reduce((sum, s, d) => sum + (s * sign > 0 ? s * Math.max(0, shape[d] - 1) : 0), 0);
  const first = chance.whole(0, 3) - reach(-1);
  const memory = new arrays[dtype](first + reach(1) + 1);
  const real = (): number => chance.unit() * 4 - 2;
  const fill = { f32: real, f64: real, i32: () => chance.whole(-50, 50), u8: () => chance.whole(0, 255), bool: () => chance.whole(0, 1), bf16: () => toBf16(real()), f16: () => 0 };
  for (let i = 0; i < memory.length; i++) memory[i] = fill[dtype]();
  return { memory, dtype, shape, stride, offset: first * memory.BYTES_PER_ELEMENT };
}

/** A random program and what it means. */
export interface RandomProgram {
  readonly classes: readonly Class[];
  readonly instrs: readonly RawInstr[];
  /** The registers after the last instruction. */
  run(inputs: readonly number[]): number[];
}

const unaries: Record<string, (a: number) => number> = { neg: (a) => -a, abs: Math.abs };
const binaries: Record<string, (a: number, b: number) => number> = { add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, maximum: Math.max, minimum: Math.min };
const round = (to: Class, x: number): number => (to === "f32" ? Math.fround(x) : to === "f64" ? x : x | 0);
const toInt = (x: number): number => Math.max(-2147483648, Math.min(2147483647, Math.trunc(x)));

export function randomProgram(chance: Chance, inputs: readonly DType[], length: number): RandomProgram {
  const classes = inputs.map(classOf);
  const instrs: RawInstr[] = [];
  const meaning: ((r: number[]) => void)[] = [];
  const emit = (dst: number, to: Class, instr: RawInstr, value: (r: number[]) => number): void => {
    instrs.push(instr);
    classes[dst] = to;
    meaning.push((r) => void (r[dst] = value(r)));
  };
  for (let k = 0; k < length; k++) {
    const dst = chance.unit() < 0.2 && classes.length > inputs.length ? chance.whole(0, classes.length - 1) : classes.length; // registers may be written again
    const type = chance.pick<Class>(["f32", "f32", "f64", "i32"]);
    const held = [...classes.keys()].filter((r) => classes[r] === type);
    const kind = chance.unit();
    if (held.length === 0 || kind < 0.1) {
      const x = type === "i32" ? chance.whole(-5, 5) : Math.fround(chance.unit());
      emit(dst, type, [`const.${type}`, dst, -1, -1, -1, x], () => x);
      continue;
    }
    const [a, b] = [chance.pick(held), chance.pick(held)];
    if (kind < 0.2) {
      const to = chance.pick((["f32", "f64", "i32"] as const).filter((other) => other !== type));
      emit(dst, to, [`cast.${type}.${to}`, dst, a], (r) => (to === "i32" ? toInt(r[a]) : round(to, r[a])));
    } else if (kind < 0.3) emit(dst, "i32", [`lt.${type}`, dst, a, b], (r) => Number(r[a] < r[b]));
    else if (kind < 0.5) {
      const name = chance.pick(Object.keys(unaries));
      emit(dst, type, [`${name}.${type}`, dst, a], (r) => round(type, unaries[name](r[a])));
    } else {
      const name = chance.pick(Object.keys(binaries));
      emit(dst, type, [`${name}.${type}`, dst, a, b], (r) => (name === "mul" && type === "i32" ? Math.imul(r[a], r[b]) : round(type, binaries[name](r[a], r[b]))));
    }
  }
  return {
    classes,
    instrs,
    run: (values) => {
      const registers = [...values];
      for (const step of meaning) step(registers);
      return registers;
    },
  };
}

/** A shape of up to five dimensions and about 30 000 elements; sometimes long, sometimes empty. */
export function randomShape(chance: Chance): number[] {
  const shape = Array.from({ length: chance.whole(0, 5) }, () => chance.pick([1, 2, 3, 4, 5, 7, 9, 16, 33]));
  if (shape.length > 0 && chance.unit() < 0.2) shape[chance.whole(0, shape.length - 1)] = chance.pick([0, 100, 257, 5000]);
  while (shape.reduce((n, size) => n * size, 1) > 30_000) shape[shape.indexOf(Math.max(...shape))] = 3;
  return shape;
}
