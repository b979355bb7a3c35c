import { arange, F, ones, optim, randint, randn, realize, zeros, type Tensor } from "graftml";
import type { KernelSpec } from "../../kernels.js";
import type { Step } from "../serve.js";
import { gradients, stepOf } from "./step.js";

type Spec<Op extends KernelSpec["op"]> = Extract<KernelSpec, { op: Op }>;

const leaf = (shape: readonly number[], requiresGrad = false): Tensor => randn(shape, { requiresGrad });

function matmul({ m, n, k, ta, tb }: Spec<"matmul">): Promise<Step> {
  const [a, b] = [leaf(ta ? [k, m] : [m, k]), leaf(tb ? [n, k] : [k, n])];
  return stepOf([a, b], () => [F.matmul(ta ? F.transpose(a) : a, tb ? F.transpose(b) : b)]);
}

function conv({ part, batch, inputs, outputs, side }: Spec<"conv">): Promise<Step> {
  const [x, w] = [leaf([batch, inputs, side, side], part === "input"), leaf([outputs, inputs, 3, 3], part === "weight")];
  const forward = (): Tensor => F.conv2d(x, w, null, { padding: 1 });
  return part === "forward" ? stepOf([x, w], () => [forward()]) : gradients([x, w], leaf([batch, outputs, side, side]), forward, false);
}

/** Samples side by side, each read causally. */
async function packedMask(length: number, sample: number): Promise<Tensor> {
  const ofSample = F.floorDivide(arange(length, { dtype: "i32" }), sample);
  const mask = F.tril(F.eq(F.unsqueeze(ofSample, 1), F.unsqueeze(ofSample, 0)));
  await realize(mask);
  return mask;
}

async function attention({ batch, heads, length, width, sample, grad }: Spec<"attention">): Promise<Step> {
  const shape = [batch, heads, length, width];
  const [q, k, v] = [leaf(shape, grad), leaf(shape, grad), leaf(shape, grad)];
  const places = sample < length ? { attnMask: await packedMask(length, sample) } : { isCausal: true };
  const forward = (): Tensor => F.scaledDotProductAttention(q, k, v, places);
  return grad ? gradients([q, k, v], leaf(shape), forward) : stepOf([q, k, v], () => [forward()]);
}

function rowwise({ op, rows, width, grad }: Spec<"layer_norm" | "softmax" | "gelu">): Promise<Step> {
  const x = leaf([rows, width], grad);
  const [weight, bias] = [ones([width], { requiresGrad: grad }), zeros([width], { requiresGrad: grad })];
  const forward = (): Tensor => (op === "layer_norm" ? F.layerNorm(x, weight, bias) : op === "softmax" ? F.softmax(x) : F.gelu(x));
  const inputs = op === "layer_norm" ? [x, weight, bias] : [x];
  return grad ? gradients(inputs, leaf([rows, width]), forward) : stepOf(inputs, () => [forward()]);
}

async function adamw({ size }: Spec<"adamw">): Promise<Step> {
  const [parameter, gradient] = [leaf([size], true), leaf([size])];
  await realize(parameter, gradient);
  const optimizer = new optim.AdamW([parameter], { lr: 1e-3 });
  return async () => {
    parameter.grad = gradient;
    await optimizer.step();
    return 0;
  };
}

function embedding({ vocab, width, tokens, part }: Spec<"embedding">): Promise<Step> {
  const [weight, at] = [leaf([vocab, width], part === "gradient"), randint(vocab, [tokens])];
  const forward = (): Tensor => F.embedding(at, weight);
  return part === "forward" ? stepOf([weight, at], () => [forward()]) : gradients([weight, at], leaf([tokens, width]), forward, false, [at]); // PyTorch's function takes no table either
}

function crossEntropy({ rows, classes, grad }: Spec<"cross_entropy">): Promise<Step> {
  const [logits, labels] = [leaf([rows, classes], grad), randint(classes, [rows])];
  const forward = (): Tensor => F.crossEntropy(logits, labels);
  return grad ? gradients([logits, labels], ones([]), forward) : stepOf([logits, labels], () => [forward()]);
}

/** One kernel through the public functions, its result computed in every step. */
export function kernelStep(spec: KernelSpec): Promise<Step> {
  switch (spec.op) {
    case "matmul":
      return matmul(spec);
    case "conv":
      return conv(spec);
    case "attention":
      return attention(spec);
    case "adamw":
      return adamw(spec);
    case "embedding":
      return embedding(spec);
    case "cross_entropy":
      return crossEntropy(spec);
    default:
      return rowwise(spec);
  }
}
