// One workload in Graft: `main.ts WORKLOAD eager|compile [kernels]`, answering rounds on stdin. With "compile" a training step is replayed without recording;
// with "kernels" the times are what a step spends inside kernels.
import { compile, manualSeed, profile, realize, type Tensor } from "graftml";
import { serve, timeOf, type Step } from "../serve.js";
import { workloads } from "../../workloads.js";
import { functionStep } from "./functions/index.js";
import { kernelStep } from "./kernels.js";
import { gpt, lora, lstm } from "./language.js";
import { network } from "./networks.js";
import type { Setup } from "./setup.js";
import { cnn, mlp, resnet, xor } from "./vision.js";

const compiled = process.argv[3] === "compile";

const makers: readonly (readonly [prefix: string, make: (workload: string) => Setup | Promise<Setup>])[] = [
  ["cnn", cnn],
  ["mlp", mlp],
  ["xor", xor],
  ["resnet18", resnet],
  ["gpt", gpt],
  ["lora", lora],
  ["lstm_lm", lstm],
  ["net_", network],
];

/** Forward, backward, update. */
async function training(workload: string): Promise<Step> {
  const make = makers.find(([prefix]) => workload.startsWith(prefix))?.[1];
  if (make === undefined) throw new Error(`unknown workload ${workload}`);
  const { model, optimizer, x, y, loss } = await make(workload);
  await realize(x, y);
  const forward = (input: Tensor, target: Tensor): Tensor => {
    optimizer.zeroGrad();
    const value = loss(model.forward(input), target);
    value.backward();
    return value;
  };
  if (compiled) {
    const step = compile((input, target) => {
      const value = forward(input, target);
      void optimizer.step();
      return value;
    });
    return async () => (await step(x, y)).item();
  }
  return async () => {
    const value = forward(x, y);
    await optimizer.step();
    return value.item();
  };
}

async function kernelTime(step: Step): Promise<number> {
  const { kernels } = await profile(async () => void (await step()), { warmup: 1, steps: 1 });
  return kernels.reduce((sum, { totalMs }) => sum + totalMs, 0);
}

serve((workload) => {
  manualSeed(0);
  const { kernel, function: spec } = workloads.find(({ name }) => name === workload) ?? {};
  return kernel !== undefined ? kernelStep(kernel) : spec !== undefined ? functionStep(spec) : training(workload);
}, process.argv[4] === "kernels" ? kernelTime : timeOf);
