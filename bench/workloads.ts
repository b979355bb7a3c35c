import { conv, linear, trained, transformer } from "./flops.js";
import { functions } from "./functions.js";
import type { FunctionSpec } from "./functions/declare.js";
import { kernels, type KernelSpec } from "./kernels.js";
import { networks } from "./networks.js";

/** The tables of docs/performance.md, and the one of docs/performance-functions.md. */
export const groups = ["small", "language", "networks", "kernels", "functions"] as const;
export type Group = (typeof groups)[number];

/** What every peer runs: a training step (forward, backward, update), a single kernel, or a single function. */
export interface Workload {
  readonly name: string;
  readonly group: Group;
  readonly what: string;
  /** Multiply-adds of the matrix products and convolutions of one step, times two. The same number serves all peers. */
  readonly flops?: number;
  /** For a kernel that memory limits: bytes that must be read and written once. */
  readonly bytes?: number;
  /** Tokens that a step learns from, for language models. */
  readonly tokens?: number;
  readonly kernel?: KernelSpec;
  readonly function?: FunctionSpec;
  /** Whether the JavaScript peers have it. Default: false. */
  readonly javascript?: boolean;
}

const cnn = (batch: number, side: number): number => {
  const features = 32 * (side / 2) ** 2;
  return trained(conv(batch, 1, 32, side, 3), linear(batch, features, 128), linear(batch, 128, 10));
};

/** ResNet-18 on small images: 3x3 stem at full size, four stages of two blocks; from the second on a stage halves the side, doubles the channels and projects its shortcut. */
const resnet18 = (batch: number, side: number, classes: number): number => {
  const rest = [4 * conv(batch, 64, 64, side, 3), linear(batch, 512, classes)];
  for (let stage = 1, channels = 128, size = side / 2; stage < 4; stage++, channels *= 2, size /= 2) {
    rest.push(conv(batch, channels / 2, channels, size, 3), 3 * conv(batch, channels, channels, size, 3), conv(batch, channels / 2, channels, size, 1));
  }
  return trained(conv(batch, 3, 64, side, 3), ...rest);
};

const dense = (batch: number, first: number, second: number, ...sizes: readonly number[]): number =>
  trained(linear(batch, first, second), ...sizes.map((size, i) => linear(batch, i === 0 ? second : sizes[i - 1], size)));

/** A decoder and the products with its vocabulary. */
const gpt = (batch: number, T: number, layers: number, d: number, vocab: number): number => trained(0, transformer(batch * T, T, layers, d), linear(batch * T, d, vocab));

/** LoRA needs no gradients of frozen weights: two thirds of full training. `block` is the multiply-adds of a block's products per token. */
const lora = (T: number, layers: number, d: number, vocab: number, block: number): number => 2 * T * (layers * (2 * block + 4 * T * d) + 2 * d * vocab);

/** Per token 8 d^2 for the input and 8 d^2 for the state in every layer, 2 d V in the head; three times for forward and backward. */
const lstm = (batch: number, T: number, layers: number, d: number, vocab: number): number => 3 * batch * T * (layers * 16 * d * d + 2 * d * vocab);

const small: readonly Workload[] = [
  { name: "cnn16_b64", group: "small", what: "SimpleCNN, 64 images of 1x16x16, Adam, cross entropy", flops: cnn(64, 16), javascript: true },
  { name: "cnn28_b64", group: "small", what: "SimpleCNN, 64 images of 1x28x28, Adam, cross entropy", flops: cnn(64, 28), javascript: true },
  { name: "mlp_b128", group: "small", what: "784-512-512-10 ReLU, batch 128, SGD with momentum, cross entropy", flops: dense(128, 784, 512, 512, 10), javascript: true },
  { name: "xor_b4", group: "small", what: "2-8-1 tanh, batch 4, SGD, mean squared error", flops: dense(4, 2, 8, 1), javascript: true },
  { name: "resnet18_32_b16", group: "small", what: "ResNet-18 with a 3x3 stem, 16 images of 3x32x32, batch norm, SGD with momentum, cross entropy", flops: resnet18(16, 32, 10) },
];

const language: readonly Workload[] = [
  { name: "gpt_4x128_t64_b12", group: "language", what: "GPT-2 of 4 layers, 128 wide, 65 tokens, block 64, batch 12, AdamW", flops: gpt(12, 64, 4, 128, 65), tokens: 768 },
  { name: "gpt_6x384_t256_b4", group: "language", what: "GPT-2 of 6 layers, 384 wide, 65 tokens, block 256, batch 4, AdamW", flops: gpt(4, 256, 6, 384, 65), tokens: 1024 },
  { name: "gpt2_124m_t256_b1", group: "language", what: "GPT-2 small (124 M parameters), block 256, batch 1, AdamW", flops: gpt(1, 256, 12, 768, 50257), tokens: 256 },
  { name: "lstm_lm", group: "language", what: "LSTM of 2 layers, 512 wide, 10000 words, 35 words, batch 20, Adam", flops: lstm(20, 35, 2, 512, 10000), tokens: 700 },
  { name: "lora_gpt2_t256", group: "language", what: "LoRA (r 8, c_attn) on GPT-2 small, 256 tokens, AdamW; beside PyTorch with PEFT", flops: lora(256, 12, 768, 50257, 12 * 768 ** 2), tokens: 256 },
  { name: "lora_llama_t256", group: "language", what: "LoRA (r 8, q_proj and v_proj) on a Llama of 110 M parameters, 256 tokens, AdamW; beside PyTorch with PEFT", flops: lora(256, 12, 768, 32000, 4 * 768 ** 2 + 3 * 768 * 2048), tokens: 256 },
];

/** All workloads, in the order of the tables. */
export const workloads: readonly Workload[] = [...small, ...language, ...networks, ...kernels, ...functions];
