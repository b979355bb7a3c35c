import type { Workload } from "./workloads.js";

/** Sizes of a single kernel, which Graft and PyTorch both read. `grad`: the forward pass and the gradients of all its inputs in one step. */
export type KernelSpec =
  | { readonly op: "matmul"; readonly m: number; readonly n: number; readonly k: number; /** The operand lies transposed in memory. */ readonly ta: boolean; readonly tb: boolean }
  | { readonly op: "conv"; readonly part: "forward" | "input" | "weight"; readonly batch: number; readonly inputs: number; readonly outputs: number; readonly side: number }
  | { readonly op: "attention"; readonly batch: number; readonly heads: number; readonly length: number; readonly width: number; /** Tokens of each of the samples that share a row, told apart by a mask; `length` for one alone. */ readonly sample: number; readonly grad: boolean }
  | { readonly op: "layer_norm" | "softmax" | "gelu"; readonly rows: number; readonly width: number; readonly grad: boolean }
  | { readonly op: "adamw"; readonly size: number }
  | { readonly op: "embedding"; readonly vocab: number; readonly width: number; readonly tokens: number; readonly part: "forward" | "gradient" }
  | { readonly op: "cross_entropy"; readonly rows: number; readonly classes: number; readonly grad: boolean };

type Work = Pick<Workload, "what" | "flops" | "bytes">;
type Spec<Op extends KernelSpec["op"]> = Extract<KernelSpec, { op: Op }>;

function matmul({ m, n, k, ta, tb }: Spec<"matmul">): Work {
  const what = `[${m}, ${k}]${ta ? " (stored transposed)" : ""} times [${k}, ${n}]${tb ? " (stored transposed)" : ""}`;
  return m === 1 ? { what: `${what}; the matrix read`, bytes: 4 * k * n } : { what, flops: 2 * m * n * k };
}

/** A 3x3 convolution with padding 1. */
function conv({ part, batch, inputs, outputs, side }: Spec<"conv">): Work {
  const parts = { forward: "forward", input: "gradient of the images", weight: "gradient of the weights" };
  return { what: `3x3 convolution of ${batch}x${inputs}x${side}x${side} to ${outputs} channels, ${parts[part]}`, flops: 2 * batch * side ** 2 * inputs * outputs * 9 };
}

/** Two products of which the causal half of each sample counts; their gradients are four more. What is computed again in the backward pass does not count. */
function attention({ batch, heads, length, width, sample, grad }: Spec<"attention">): Work {
  const products = grad ? 6 : 2;
  const what = `causal attention, ${batch} x ${heads} heads of ${width}, ${length} tokens${sample < length ? `, samples of ${sample} packed by a mask` : ""}${grad ? ", forward and gradients" : ""}`;
  return { what, flops: products * 2 * batch * heads * ((length * (sample + 1)) / 2) * width };
}

function rowwise({ op, rows, width, grad }: Spec<"layer_norm" | "softmax" | "gelu">): Work {
  const name = { layer_norm: "layer norm with weight and bias", softmax: "softmax of the rows", gelu: "GELU (erf)" }[op];
  const backward = op === "softmax" ? "y" : "x"; // what the gradient is computed from: too large to be in a cache still
  return { what: `${name}, [${rows}, ${width}]${grad ? `, forward and gradients; x read, y written, ${backward}, dy read, dx written` : "; x read, y written"}`, bytes: (grad ? 5 : 2) * 4 * rows * width };
}

function embedding({ vocab, width, tokens, part }: Spec<"embedding">): Work {
  const of = `${tokens} tokens of a table [${vocab}, ${width}]`;
  if (part === "forward") return { what: `embedding, ${of}; rows read, rows written`, bytes: 2 * 4 * tokens * width };
  return { what: `gradient of an embedding, ${of}; dy read, the dense gradient written`, bytes: 4 * width * (tokens + vocab) };
}

function crossEntropy({ rows, classes, grad }: Spec<"cross_entropy">): Work {
  return { what: `cross entropy of [${rows}, ${classes}]${grad ? ", loss and gradient; logits read twice, gradient written" : "; logits read"}`, bytes: (grad ? 3 : 1) * 4 * rows * classes };
}

function workOf(spec: KernelSpec): Work {
  switch (spec.op) {
    case "matmul":
      return matmul(spec);
    case "conv":
      return conv(spec);
    case "attention":
      return attention(spec);
    case "adamw":
      return { what: `AdamW of one tensor of ${spec.size} numbers; p, g, m, v read, p, m, v written`, bytes: 7 * 4 * spec.size };
    case "embedding":
      return embedding(spec);
    case "cross_entropy":
      return crossEntropy(spec);
    default:
      return rowwise(spec);
  }
}

const product = (m: number, n: number, k: number, transposes = "nn"): KernelSpec => ({ op: "matmul", m, n, k, ta: transposes[0] === "t", tb: transposes[1] === "t" });
const image = (part: "forward" | "input" | "weight", batch: number, inputs: number, outputs: number, side: number): KernelSpec => ({ op: "conv", part, batch, inputs, outputs, side });
const rows = (op: "layer_norm" | "softmax" | "gelu", grad: boolean): KernelSpec => ({ op, rows: 16384, width: 1024, grad }); // 64 MiB a tensor
const heads = (sample: number, grad: boolean): KernelSpec => ({ op: "attention", batch: 4, heads: 12, length: 512, width: 64, sample, grad });
const table = (part: "forward" | "gradient"): KernelSpec => ({ op: "embedding", vocab: 50257, width: 768, tokens: 16384, part });

const specs: readonly (readonly [name: string, spec: KernelSpec])[] = [
  ["matmul_256", product(256, 256, 256)],
  ["matmul_1024", product(1024, 1024, 1024)],
  ...["nn", "nt", "tn", "tt"].map((transposes) => [`matmul_512_${transposes}`, product(512, 512, 512, transposes)] as const),
  ...["nn", "nt", "tn", "tt"].map((transposes) => [`matmul_m16_${transposes}`, product(16, 4096, 1024, transposes)] as const),
  ["matmul_n16", product(4096, 16, 1024)],
  ["matmul_k16", product(1024, 1024, 16)],
  ["matmul_m1_nt", product(1, 4096, 4096, "nt")],
  ...(["forward", "input", "weight"] as const).map((part) => [`conv_64x32_${part}`, image(part, 16, 64, 64, 32)] as const),
  ...(["forward", "input", "weight"] as const).map((part) => [`conv_512x4_${part}`, image(part, 16, 512, 512, 4)] as const),
  ...(["forward", "weight"] as const).map((part) => [`conv_1x28_${part}`, image(part, 64, 1, 32, 28)] as const),
  ["attention", heads(512, false)],
  ["attention_grad", heads(512, true)],
  ["attention_packed", heads(128, false)],
  ["attention_packed_grad", heads(128, true)],
  ["layer_norm", rows("layer_norm", false)],
  ["layer_norm_grad", rows("layer_norm", true)],
  ["softmax", rows("softmax", false)],
  ["softmax_grad", rows("softmax", true)],
  ["gelu", rows("gelu", false)],
  ["gelu_grad", rows("gelu", true)],
  ["adamw", { op: "adamw", size: 1 << 24 }],
  ["embedding", table("forward")],
  ["embedding_gradient", table("gradient")],
  ["cross_entropy", { op: "cross_entropy", rows: 512, classes: 50257, grad: false }],
  ["cross_entropy_grad", { op: "cross_entropy", rows: 512, classes: 50257, grad: true }],
];

/** Single kernels. Compute-bound ones state FLOPs; memory-bound ones, on blocks larger than the caches, the bytes that each pass must read and write. */
export const kernels: readonly Workload[] = specs.map(([name, kernel]) => ({ name: `kernel_${name}`, group: "kernels", kernel, ...workOf(kernel), javascript: name === "matmul_1024" }));
