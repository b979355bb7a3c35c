import { checkNumber } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { add, mul, square, sub, type Operand } from "../ops/index.js";
import type { Update } from "./optimizer.js";

/** a + w (b - a), PyTorch's `lerp`: the running mean with share w of the new value. */
export const lerp = (a: Tensor, b: Tensor, weight: Operand): Tensor => add(a, mul(sub(b, a), weight));

/** beta v + (1 - beta) g^2, the running mean of squares. */
export const lerpSquare = (v: Tensor, g: Tensor, beta: number): Tensor => add(mul(v, beta), mul(square(g), 1 - beta));

/** g + lambda p: weight decay as part of the gradient (L2 regularisation). */
export const withDecay = <O extends { weightDecay: number }>({ grad, param, group, number }: Update<O>): Tensor =>
  group.weightDecay === 0 ? grad : add(grad, mul(param, number(() => group.weightDecay)));

/** (1 - lr lambda) p: weight decay apart from the gradient (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019). */
export const decayed = <O extends { lr: number; weightDecay: number }>({ param, group, number }: Update<O>, lr = (): number => group.lr): Tensor =>
  group.weightDecay === 0 ? param : mul(param, number(() => 1 - lr() * group.weightDecay));

/** Checks two decay rates in [0, 1). */
export function checkBetas(name: string, betas: readonly [number, number]): void {
  betas.forEach((beta, i) => {
    checkNumber(name, `betas[${i}]`, beta, { min: 0, max: 1 - Number.EPSILON / 2 });
  });
}

/** Checks numbers that must be 0 or more. */
export function checkAtLeastZero<O extends object>(name: string, options: O, names: readonly (keyof O & string)[]): void {
  for (const key of names) checkNumber(name, key, options[key] as number, { min: 0 });
}
