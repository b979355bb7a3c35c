// Measures every element-wise function of the kernels against f64: prints the largest error in units in the last place, and cases where infinities,
// NaN, zeros or subnormals come out wrong.
import { erfOf } from "graftml/ops";
import { dense, native, RawPlan } from "../plan.js";

const sigmoid = (x: number): number => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const { abs, acos, asin, atan, cos, cosh, exp, expm1, log, log1p, sin, sinh, sqrt, tan, tanh } = Math;
const unary: Record<string, (x: number) => number> = {
  exp, expm1, log, log1p, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, erf: erfOf, sigmoid, softplus, logSigmoid: (x) => -softplus(-x),
  sqrt, reciprocal: (x) => 1 / x, rsqrt: (x) => 1 / sqrt(x), floor: Math.floor, ceil: (x) => Math.ceil(x), trunc: Math.trunc,
};
const binary: Record<string, (a: number, b: number) => number> = {
  pow: (a, b) => (b === 0 || a === 1 || (abs(a) === 1 && abs(b) === Infinity) ? 1 : a ** b), // as C has it
  atan2: Math.atan2,
  div: (a, b) => a / b,
};

const special = [
  0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, Infinity, -Infinity, NaN,
  2 ** -149, -(2 ** -149), 2 ** -126, 3.4028234663852886e38, -3.4028234663852886e38, 88.72283, 88.7229, -103.97, -104, 1e9, -1e9, 16777217, 1048575, 1048577,
];

/** Every sign and exponent of f32, with mantissas that look random. */
function spread(count: number, seed: number): Float32Array {
  const bits = Uint32Array.from({ length: count }, (_, i) => Math.imul(i + seed, 0x9e3779b1) ^ Math.imul(i, 97));
  return new Float32Array(bits.buffer);
}
/** Where functions are interesting: +-20, more often near 0. */
const near = (count: number, seed: number): Float32Array => Float32Array.from({ length: count }, (_, i) => 20 * Math.sin((i + seed) * 12.9898) ** 3);

/** The error of f32 `got` in units in the last place of `want`; Infinity where a special value or a sign is wrong. */
function ulps(got: number, want: number): number {
  const rounded = Math.fround(want);
  if (Object.is(got, rounded)) return 0;
  if (Number.isNaN(got) || Number.isNaN(want) || abs(rounded) === Infinity) return Infinity;
  if (rounded === 0 && got === 0) return want === 0 ? Infinity : 0; // the sign of an underflow does not matter, that of a zero does
  const exponent = Math.max(-126, Math.floor(Math.log2(abs(want))));
  return abs(got - want) / 2 ** (exponent - 23);
}

function worst(name: string, inputs: readonly Float32Array[], expected: (i: number) => number): { ulp: number; at: number[] } {
  const n = inputs[0].length;
  const out = new Float32Array(n);
  const registers = inputs.length;
  new RawPlan().step("map", inputs.map((x) => dense(x, "f32", [n])), [dense(out, "f32", [n])], [], { inputs: registers, registers: registers + 1, instrs: [[`${name}.f32`, registers, ...inputs.keys()] as [string, number, number, number?]], stores: [registers] }).run(native!);
  let found = { ulp: 0, at: [] as number[] };
  for (let i = 0; i < n; i++) {
    const ulp = ulps(out[i], expected(i));
    if (ulp > found.ulp) found = { ulp, at: [...inputs.map((x) => x[i]), out[i]] };
  }
  return found;
}

const results: Record<string, { ulp: number | "wrong"; at: string }> = {};
const note = (name: string, { ulp, at }: { ulp: number; at: number[] }): void => {
  results[name] = { ulp: ulp === Infinity ? "wrong" : ulp, at: at.join(", ") };
};
const x = Float32Array.from([...special, ...spread(60_000, 1), ...near(60_000, 2)]);
for (const [name, f] of Object.entries(unary)) note(name, worst(name, [x], (i) => f(x[i])));
const pairs = special.flatMap((a) => special.map((b) => [a, b]));
const a = Float32Array.from([...pairs.map(([first]) => first), ...spread(20_000, 5), ...near(30_000, 6)]);
const b = Float32Array.from([...pairs.map(([, second]) => second), ...spread(20_000, 7), ...near(30_000, 8)]);
for (const [name, f] of Object.entries(binary)) note(name, worst(name, [a, b], (i) => f(a[i], b[i])));
console.log(JSON.stringify({ isa: native?.isa(), results }));
