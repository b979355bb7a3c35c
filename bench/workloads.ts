/** What every peer runs: a training step (forward, backward, update), or a single product. */
export interface Workload {
  readonly name: string;
  readonly what: string;
  /** Multiply-adds of the matrix products and convolutions of one step, times two. The same number serves all peers. */
  readonly flops: number;
  /** Tokens that a step learns from, for language models. */
  readonly tokens?: number;
}

const cnn = (batch: number, side: number): number => {
  const pixels = batch * side * side;
  const features = 32 * (side / 2) ** 2;
  const conv = 2 * pixels * 32 * 9;
  const dense = 2 * batch * (features * 128 + 128 * 10);
  return 2 * conv + 3 * dense; // the first convolution needs no gradient for its input
};

const dense = (batch: number, ...sizes: number[]): number => {
  let total = 0;
  for (let i = 0; i + 1 < sizes.length; i++) total += 2 * batch * sizes[i] * sizes[i + 1] * (i === 0 ? 2 : 3);
  return total;
};

/** A decoder: per token 24 d^2 in the products of a block, 4 T d in those of attention (counted whole, not only the causal half), 2 d V in the head; three times for forward and backward. */
const gpt = (batch: number, T: number, layers: number, d: number, vocab: number): number => 3 * batch * T * (layers * (24 * d * d + 4 * T * d) + 2 * d * vocab);

/** LoRA needs no gradients of frozen weights: two thirds of full training. `block` is the multiply-adds of a block's products per token. */
const lora = (T: number, layers: number, d: number, vocab: number, block: number): number => 2 * T * (layers * (2 * block + 4 * T * d) + 2 * d * vocab);

export const workloads: readonly Workload[] = [
  { name: "cnn16_b64", what: "SimpleCNN, 64 images of 1x16x16, Adam, cross entropy", flops: cnn(64, 16) },
  { name: "cnn28_b64", what: "SimpleCNN, 64 images of 1x28x28, Adam, cross entropy", flops: cnn(64, 28) },
  { name: "mlp_b128", what: "784-512-512-10 ReLU, batch 128, SGD with momentum, cross entropy", flops: dense(128, 784, 512, 512, 10) },
  { name: "matmul_1024", what: "one product of two 1024x1024 matrices", flops: 2 * 1024 ** 3 },
  { name: "xor_b4", what: "2-8-1 tanh, batch 4, SGD, mean squared error", flops: dense(4, 2, 8, 1) },
  { name: "gpt_4x128_t64_b12", what: "GPT-2 of 4 layers, 128 wide, 65 tokens, block 64, batch 12, AdamW", flops: gpt(12, 64, 4, 128, 65), tokens: 768 },
  { name: "gpt_6x384_t256_b4", what: "GPT-2 of 6 layers, 384 wide, 65 tokens, block 256, batch 4, AdamW", flops: gpt(4, 256, 6, 384, 65), tokens: 1024 },
  { name: "gpt2_124m_t256_b1", what: "GPT-2 small (124 M parameters), block 256, batch 1, AdamW", flops: gpt(1, 256, 12, 768, 50257), tokens: 256 },
  { name: "lora_gpt2_t256", what: "LoRA (r 8, c_attn) on GPT-2 small, 256 tokens, AdamW; beside PyTorch with PEFT", flops: lora(256, 12, 768, 50257, 12 * 768 ** 2), tokens: 256 },
  { name: "lora_llama_t256", what: "LoRA (r 8, q_proj and v_proj) on a Llama of 110 M parameters, 256 tokens, AdamW; beside PyTorch with PEFT", flops: lora(256, 12, 768, 32000, 4 * 768 ** 2 + 3 * 768 * 2048), tokens: 256 },
];

/** What a peer answers to a round. */
export interface Round {
  /** Milliseconds of each step. */
  readonly times: readonly number[];
  /** Peak resident memory of the process, in bytes. */
  readonly rss: number;
  /** Milliseconds of the first step (first round only). */
  readonly first?: number;
  readonly error?: string;
}
