/** What is done to a weight on its way into a GGUF file. */
export type Change = "none" | "query" | "key" | "transpose" | "plusOne";

/** A weight's name in llama.cpp, and what is changed. */
export interface Renamed {
  readonly name: string;
  readonly change: Change;
}

type Names = Readonly<Record<string, string | readonly [name: string, change: Change]>>;

/** How an architecture is called in llama.cpp, and its weights: `model` by full name, `layer` behind the path of a layer, both without `.weight` or `.bias`. */
export interface GgufArchitecture {
  readonly name: string;
  readonly layers: RegExp;
  readonly model: Names;
  readonly layer: Names;
}

const layers = /^model\.layers\.(\d+)\.(.+)$/;
const model: Names = { "model.embed_tokens": "token_embd", "model.norm": "output_norm", lm_head: "output" };
const attention: Names = { "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output" };
const mlp: Names = { "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down" };
const norms: Names = { input_layernorm: "attn_norm", post_attention_layernorm: "ffn_norm" };

// llama.cpp turns neighbouring dims of a head where Hugging Face's Llama turns dims i and i + D/2: the rows of q and k are put in its order.
const llama: GgufArchitecture = {
  name: "llama",
  layers,
  model,
  layer: { ...attention, "self_attn.q_proj": ["attn_q", "query"], "self_attn.k_proj": ["attn_k", "key"], ...mlp, ...norms },
};
const qwen2: GgufArchitecture = { name: "qwen2", layers, model, layer: { ...attention, ...mlp, ...norms } };

/** The architectures that can be written, by `model_type`. */
export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  llama,
  mistral: llama,
  qwen2,
  qwen3: { ...qwen2, name: "qwen3", layer: { ...qwen2.layer, "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" } },
  // Gemma scales by 1 + weight, llama.cpp by the weight.
  gemma2: {
    name: "gemma2",
    layers,
    model: { ...model, "model.norm": ["output_norm", "plusOne"] },
    layer: {
      ...attention,
      ...mlp,
      input_layernorm: ["attn_norm", "plusOne"],
      post_attention_layernorm: ["post_attention_norm", "plusOne"],
      pre_feedforward_layernorm: ["ffn_norm", "plusOne"],
      post_feedforward_layernorm: ["post_ffw_norm", "plusOne"],
    },
  },
  phi3: {
    name: "phi3",
    layers,
    model,
    layer: { "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down", ...norms },
  },
  gpt2: {
    name: "gpt2",
    layers: /^transformer\.h\.(\d+)\.(.+)$/,
    model: { "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm", lm_head: "output" },
    layer: {
      ln_1: "attn_norm",
      "attn.c_attn": ["attn_qkv", "transpose"],
      "attn.c_proj": ["attn_output", "transpose"],
      ln_2: "ffn_norm",
      "mlp.c_fc": ["ffn_up", "transpose"],
      "mlp.c_proj": ["ffn_down", "transpose"],
    },
  },
};

/** llama.cpp's name of a weight; undefined where it has none. */
export function ggufName({ layers: pattern, model: whole, layer }: GgufArchitecture, weight: string): Renamed | undefined {
  const dot = weight.lastIndexOf(".");
  const [path, kind] = [weight.slice(0, dot), weight.slice(dot + 1)];
  const match = pattern.exec(path);
  const table = match === null ? whole : layer;
  const key = match === null ? path : match[2];
  if (!Object.hasOwn(table, key)) return undefined;
  const entry = table[key];
  const [name, change] = typeof entry === "string" ? [entry, "none" as const] : entry;
  return { name: `${match === null ? "" : `blk.${match[1]}.`}${name}.${kind}`, change: change === "transpose" && kind === "bias" ? "none" : change };
}
