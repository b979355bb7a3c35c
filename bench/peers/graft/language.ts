import { models, nn, optim, randint, realize, tune, type Tensor } from "graftml";
import { entropy, type Setup } from "./setup.js";

const noDropout = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };

/** Next-token training on random tokens: `logits` maps tokens [batch, T] to [batch, T, vocab]. */
function nextToken(logits: (tokens: Tensor) => Tensor, optimizer: Setup["optimizer"], vocab: number, batch: number, T: number): Setup {
  const tokens = (): Tensor => randint(vocab, [batch, T]);
  return { model: { forward: (x) => logits(x).reshape([-1, vocab]) }, optimizer, x: tokens(), y: tokens().reshape([-1]), loss: entropy };
}

/** `gpt_4x128_t64_b12`: layers x width, block, batch; `gpt2_124m` is GPT-2 small. */
export async function gpt(workload: string): Promise<Setup> {
  const [layers, heads, width, vocab] = workload.startsWith("gpt2") ? [12, 12, 768, 50257] : workload.startsWith("gpt_4") ? [4, 4, 128, 65] : [6, 6, 384, 65];
  const [T, batch] = [/_t(\d+)/, /_b(\d+)/].map((pattern) => Number(pattern.exec(workload)![1]));
  const lm = await models.create({ model_type: "gpt2", n_layer: layers, n_head: heads, n_embd: width, n_positions: T, vocab_size: vocab, ...noDropout });
  return nextToken((x) => lm.forward(x).logits, new optim.AdamW(lm.parameters(), { lr: 1e-3 }), vocab, batch, T);
}

/** A frozen model with adapters. */
export async function lora(workload: string): Promise<Setup> {
  const isLlama = workload.includes("llama");
  const sizes = { hidden_size: 768, intermediate_size: 2048, num_hidden_layers: 12, num_attention_heads: 12, num_key_value_heads: 12, vocab_size: 32000 };
  const llama = { ...sizes, max_position_embeddings: 512, tie_word_embeddings: true };
  const lm = await models.create(isLlama ? { model_type: "llama", ...llama } : { model_type: "gpt2", ...noDropout });
  await realize(...lm.parameters());
  tune.lora(lm, { r: 8, alpha: 16, targetModules: isLlama ? ["q_proj", "v_proj"] : ["c_attn"] });
  const learning = lm.parameters().filter(({ requiresGrad }) => requiresGrad);
  return nextToken((x) => lm.forward(x).logits, new optim.AdamW(learning, { lr: 1e-3 }), lm.config.vocab_size as number, 1, 256);
}

/** A word-level language model: embedding, LSTM layers, projection; every sequence starts from zeros. */
class LSTMModel extends nn.Module {
  embed: nn.Embedding;
  lstm: nn.LSTM;
  head: nn.Linear;
  constructor(vocab: number, width: number, layers: number) {
    super();
    this.embed = new nn.Embedding(vocab, width);
    this.lstm = new nn.LSTM(width, width, { numLayers: layers, batchFirst: true });
    this.head = new nn.Linear(width, vocab);
  }
  override forward(tokens: Tensor): Tensor {
    return this.head.forward(this.lstm.forward(this.embed.forward(tokens))[0]);
  }
}

export function lstm(): Setup {
  const [vocab, width, layers, batch, T] = [10000, 512, 2, 20, 35];
  const lm = new LSTMModel(vocab, width, layers);
  return nextToken((x) => lm.forward(x), new optim.Adam(lm.parameters(), { lr: 1e-3 }), vocab, batch, T);
}
