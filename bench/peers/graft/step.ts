import { realize, type Tensor } from "graftml";
import type { Step } from "../serve.js";

/** A step that computes what `record` records, from inputs that are there. */
export async function stepOf(inputs: readonly Tensor[], record: () => readonly Tensor[]): Promise<Step> {
  await realize(...inputs);
  return async () => {
    await realize(...record());
    return 0;
  };
}

/** The result of `f` and the gradients of its inputs that learn; with `withResult` false the gradients only. `given`: inputs that are needed. */
export function gradients(inputs: readonly Tensor[], dy: Tensor, f: () => Tensor, withResult = true, given = inputs): Promise<Step> {
  const learning = inputs.filter(({ requiresGrad }) => requiresGrad);
  return stepOf([...given, dy], () => {
    for (const x of learning) x.grad = null;
    const y = f();
    y.backward({ gradient: dy });
    return [...(withResult ? [y] : []), ...learning.map((x) => x.grad!)];
  });
}
