import { F, realize, tensor, type Tensor } from "graftml";
import { difference, prepare, stored, type OpCase, type StoredTensors } from "./cases.js";

/** The outputs of a case's function as a list. */
export function call(test: OpCase, args: readonly unknown[]): Tensor[] {
  const fn = (F as unknown as Record<string, (...args: readonly unknown[]) => Tensor | Tensor[]>)[test.call];
  if (fn === undefined) throw new Error(`F has no function "${test.call}"`);
  const result = fn(...args);
  return Array.isArray(result) ? result : [result];
}

/** sum_i sum(output_i * cotangent_i): the scalar whose gradients the file holds. */
export function objective(test: OpCase, tensors: StoredTensors, outputs: readonly Tensor[]): Tensor {
  const terms = (test.cotangents ?? []).map((key) => {
    const output = outputs[Number(/cot(\d+)$/.exec(key)![1])];
    const { data } = stored(tensors, key);
    return F.sum(F.mul(output, tensor(Float64Array.from(data), { dtype: output.dtype, shape: output.shape })));
  });
  return terms.reduce((total, term) => F.add(total, term));
}

/** Runs a case, outputs and gradients in one step, and returns what differs: in f32 beyond the file's tolerance, in f64 beyond what its f32 storage leaves uncertain. */
export async function differences(test: OpCase, tensors: StoredTensors, dtype: "f32" | "f64"): Promise<string[]> {
  const [rtol, atol] = dtype === "f32" ? [test.rtol, test.atol] : [1e-6, 1e-6];
  const { args, leaves } = prepare(test, tensors, { dtype, requiresGrad: true });
  const outputs = call(test, args);
  if (outputs.length !== test.outputs.length) return [`${outputs.length} outputs, expected ${test.outputs.length}`];
  const wanted = Object.entries(test.grads ?? {});
  if (wanted.length > 0) objective(test, tensors, outputs).backward();
  const gradients = wanted.map(([key]) => leaves.get(key)!.grad!);
  await realize(...outputs, ...gradients);
  const problems = [
    ...outputs.map((output, i) => difference(test.outputs[i], output.dataSync(), output.shape, stored(tensors, test.outputs[i]), rtol, atol)),
    ...wanted.map(([input, key], i) => {
      const { shape } = stored(tensors, input);
      return difference(key, gradients[i].dataSync(), gradients[i].shape, { ...stored(tensors, key), shape }, rtol, atol);
    }),
  ];
  return problems.filter((problem) => problem !== undefined);
}
