import { isFloat, nextNodeId, record, recomputed, Tensor, withGrad, type Attrs, type GradientContext, type Node, type Op } from "../graph/index.js";
import { getRandomState, identityOp, setRandomState } from "../ops/index.js";
import { differentiate } from "./differentiate.js";

/** The value of `output`, whose gradient goes to `inputs` by `rule`. The op differs from `identity` in nothing that a plan sees. */
function withRule(output: Tensor, inputs: readonly Tensor[], rule: (context: GradientContext<Attrs>) => readonly (Tensor | null | undefined)[]): Tensor {
  const op: Op = { ...identityOp, vjp: (context) => [null, ...rule(context)] };
  return record(op, [output, ...inputs]);
}

/** What a custom gradient rule is given. */
export interface CustomContext {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** Gradient of the output. */
  readonly grad: Tensor;
}

/**
 * A function with its own gradient rule: `forward` computes, `backward` returns one gradient (or null) per input.
 * @example
 * // straight-through rounding
 * const ste = customGradient((x) => F.round(x), ({ grad }) => [grad]);
 */
export function customGradient(
  forward: (...inputs: Tensor[]) => Tensor,
  backward: (context: CustomContext) => readonly (Tensor | null)[],
): (...inputs: Tensor[]) => Tensor {
  return (...inputs) => {
    const output = withGrad(false, () => forward(...inputs));
    return withRule(output, inputs, (context) => backward({ inputs, output: context.output, grad: context.grad }));
  };
}

/** Tensors recorded before `start` that `outputs` depend on: what a function took from outside. */
function capturedBefore(start: number, outputs: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const captured: Node[] = [];
  const stack = outputs.map((output) => output.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node) || !node.requiresGrad) continue;
    seen.add(node);
    if (node.id < start || node.variable !== undefined) captured.push(node);
    else stack.push(...node.inputs);
  }
  return captured.sort((a, b) => a.id - b.id);
}

/**
 * Gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost"): what `f` computes between its inputs and outputs
 * is not stored for the backward pass but computed again there. Same values, same random numbers, less memory, one more forward pass.
 * @example
 * for (const block of blocks) x = checkpoint((h) => block.forward(h), x);
 */
export function checkpoint<R extends Tensor | Tensor[]>(f: (...inputs: Tensor[]) => R, ...inputs: Tensor[]): R {
  const random = getRandomState();
  const start = nextNodeId();
  const first = f(...inputs);
  const outputs: readonly Tensor[] = Array.isArray(first) ? first : [first as Tensor];
  const captured = capturedBefore(start, outputs);
  if (captured.length === 0) return first;
  let again: readonly Tensor[] | undefined;
  const recompute = (): readonly Tensor[] => {
    if (again !== undefined) return again;
    const after = getRandomState();
    setRandomState(random);
    const value = recomputed(() => withGrad(true, () => f(...inputs)));
    setRandomState(after);
    return (again = Array.isArray(value) ? value : [value as Tensor]);
  };
  const ends = new Set(captured);
  const wrapped = outputs.map((output, i) =>
    !output.requiresGrad || !isFloat(output.dtype)
      ? output
      : withRule(output, captured.map((node) => new Tensor(node)), ({ grad }) => {
          const found = differentiate([recompute()[i]], [grad], (node) => ends.has(node));
          return captured.map((node) => found.get(node));
        }),
  );
  return (Array.isArray(first) ? wrapped : wrapped[0]) as R;
}
