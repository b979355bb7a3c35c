import { noGrad, randn, realize, type Tensor } from "graftml";
import type { FunctionOptions, FunctionSpec } from "../../../functions/declare.js";
import type { Step } from "../../serve.js";
import { gradients, stepOf } from "../step.js";
import { algebra } from "./algebra.js";
import { convolutions } from "./convolutions.js";
import { creation } from "./creation.js";
import { elementwise } from "./elementwise.js";
import type { Implementations } from "./implementation.js";
import { indexing } from "./indexing.js";
import { filled } from "./inputs.js";
import { attention, layers, type Layer } from "./layers.js";
import { losses } from "./losses.js";
import { norms } from "./norms.js";
import { optimizers } from "./optimizers.js";
import { pooling } from "./pooling.js";
import { reductions } from "./reductions.js";
import { shapes } from "./shapes.js";

const functions: Implementations = {
  ...elementwise, ...reductions, ...shapes, ...indexing, ...convolutions, ...pooling, ...norms, ...losses, ...algebra, ...attention, ...creation,
};

function implementation(call: string, options: FunctionOptions): Layer {
  if (Object.hasOwn(layers, call)) return layers[call]();
  if (!Object.hasOwn(functions, call)) throw new Error(`there is no function ${call} in bench/peers/graft/functions`);
  return { parameters: [], forward: functions[call](options) };
}

/** An update of the parameters by gradients that stay the same. */
async function updateStep(call: string, parameters: readonly Tensor[]): Promise<Step> {
  const given = parameters.map(({ shape }) => randn(shape));
  await realize(...given);
  const update = optimizers[call](parameters);
  return async () => {
    for (const [i, parameter] of parameters.entries()) parameter.grad = given[i];
    await update();
    return 0;
  };
}

/** One function of the public surface, all its results computed in every step. */
export async function functionStep({ call, inputs: declared, options, grad }: FunctionSpec): Promise<Step> {
  const isUpdate = Object.hasOwn(optimizers, call);
  const inputs = await Promise.all(declared.map((input) => filled(input, grad || isUpdate)));
  if (isUpdate) return updateStep(call, inputs);
  const { parameters, forward } = implementation(call, options);
  const all = [...inputs, ...parameters];
  const run = (): Tensor => forward(...inputs);
  return grad ? gradients(all, randn(noGrad(run).shape), run) : stepOf(all, () => [noGrad(run)]);
}
