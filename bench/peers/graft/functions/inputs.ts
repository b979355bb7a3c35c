import { arange, eye, F, ones, rand, randint, randn, realize, zeros, type Tensor } from "graftml";
import type { FunctionInput, Values } from "../../../functions/declare.js";

type Filler = (shape: readonly number[], below: number) => Tensor;

function definite(shape: readonly number[]): Tensor {
  const a = randn(shape);
  return F.add(F.matmul(a, F.t(a)), F.mul(eye(shape[0]), shape[0]));
}

/** True where the place lies before the length of its row. */
function padding(shape: readonly number[]): Tensor {
  const places = shape.at(-1)!;
  return F.lt(arange(places), randint(40, places, [shape[0], 1, 1, 1]));
}

const fillers: Readonly<Record<Values, Filler>> = {
  normal: (shape) => randn(shape),
  positive: (shape) => F.add(rand(shape), 0.1),
  definite,
  zeros: (shape) => zeros(shape),
  ones: (shape) => ones(shape),
  bits: (shape) => F.cast(randint(2, shape), "f32"),
  whole: (shape, below) => randint(below, shape),
  padding,
};

const learns: ReadonlySet<Values> = new Set(["normal", "positive", "definite"]);

/** An input, computed and cut off from how; with `grad` its gradient is recorded where it has one. */
export async function filled({ values, shape, below = 0 }: FunctionInput, grad: boolean): Promise<Tensor> {
  const made = fillers[values](shape, below);
  await realize(made);
  const input = F.detach(made);
  input.requiresGrad = grad && learns.has(values);
  return input;
}
