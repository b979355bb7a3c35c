import { GraftError } from "../../base/index.js";
import type { GgufValue, HostTensor, JsonObject } from "../../io/index.js";
import type { RotaryScaling } from "../../nn/index.js";
import { headsOf, type HeadSizes, type LlamaFields } from "../llama.js";
import { rotaryOf } from "../text/rope.js";
import type { TextConfig } from "../text/types.js";

/** What a model's config becomes in a GGUF file. */
export interface GgufSettings {
  readonly metadata: Map<string, GgufValue>;
  /** Tensors that come from the config. */
  readonly tensors: Map<string, HostTensor>;
  readonly heads: HeadSizes;
}

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });
const cannot = (problem: string): GraftError => new GraftError("config", `GGUF: ${problem}, which llama.cpp has no setting for. Export it as safetensors.`);

/** The settings of GPT-2. */
function gpt2Settings(config: TextConfig): GgufSettings {
  const { n_positions, n_embd, n_layer, n_head, n_inner, layer_norm_epsilon, activation_function } = config as TextConfig & Readonly<Record<string, number>>;
  if (config.scale_attn_weights === false || config.scale_attn_by_inverse_layer_idx === true) throw cannot("the attention of this GPT-2 is scaled in an unusual way");
  if (!["gelu_new", "gelu_fast", "gelu_pytorch_tanh"].includes(String(activation_function))) throw cannot(`activation_function is "${activation_function}"`);
  const metadata = new Map([
    ["gpt2.context_length", u32(n_positions)],
    ["gpt2.embedding_length", u32(n_embd)],
    ["gpt2.block_count", u32(n_layer)],
    ["gpt2.feed_forward_length", u32(n_inner ?? 4 * n_embd)],
    ["gpt2.attention.head_count", u32(n_head)],
    ["gpt2.attention.layer_norm_epsilon", f32(layer_norm_epsilon)],
  ]);
  return { metadata, tensors: new Map(), heads: { heads: n_head, keyHeads: n_head, headDim: n_embd / n_head } };
}

/** Factor by which llama3's scaling divides each frequency: 1 for short waves, `factor` for long ones, between them blended. */
function llama3Factors(dim: number, theta: number, { factor, lowFreqFactor, highFreqFactor, originalMaxPositions }: RotaryScaling & { readonly type: "llama3" }): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const turns = (originalMaxPositions * theta ** ((-2 * i) / dim)) / (2 * Math.PI);
    if (turns > highFreqFactor) return 1;
    if (turns < lowFreqFactor) return factor;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function addRope(prefix: string, name: string, config: LlamaFields, headDim: number, { metadata, tensors }: GgufSettings): void {
  const { dim, scaling, attentionFactor } = rotaryOf(name, config, headDim);
  const parameters: JsonObject = { ...config.rope_parameters, ...config.rope_scaling };
  const theta = (parameters.rope_theta as number | undefined) ?? config.rope_theta ?? 10000;
  metadata.set(`${prefix}.rope.freq_base`, f32(theta));
  metadata.set(`${prefix}.rope.dimension_count`, u32(dim));
  const factors = (data: Float32Array): HostTensor => ({ dtype: "f32", shape: [data.length], data });
  if (scaling === undefined) return;
  switch (scaling.type) {
    case "linear":
      metadata.set(`${prefix}.rope.scaling.type`, { type: "string", value: "linear" });
      metadata.set(`${prefix}.rope.scaling.factor`, f32(scaling.factor));
      return;
    case "llama3":
      tensors.set("rope_freqs.weight", factors(llama3Factors(dim, theta, scaling)));
      return;
    case "longrope":
      metadata.set(`${prefix}.rope.scaling.original_context_length`, u32(scaling.originalMaxPositions));
      metadata.set(`${prefix}.rope.scaling.attn_factor`, f32(attentionFactor));
      tensors.set("rope_factors_long.weight", factors(Float32Array.from(scaling.longFactor)));
      tensors.set("rope_factors_short.weight", factors(Float32Array.from(scaling.shortFactor)));
      return;
    default:
      throw cannot(`the rope scaling is "${scaling.type}"`);
  }
}

/**
 * The metadata of a model's architecture (`prefix`: its name in llama.cpp). Throws `config` for settings that llama.cpp cannot follow: the file would load and give
 * wrong text.
 */
export function ggufSettings(prefix: string, config: TextConfig): GgufSettings {
  if (prefix === "gpt2") return gpt2Settings(config);
  const fields = config as TextConfig & LlamaFields & Readonly<Record<string, unknown>>;
  const name = config.model_type;
  const heads = headsOf(name, fields);
  const wanted = prefix === "gemma2" ? "gelu_pytorch_tanh" : "silu";
  const activation = prefix === "gemma2" ? (fields.hidden_activation ?? wanted) : fields.hidden_act;
  if (activation !== wanted && !(wanted === "silu" && activation === "swish")) throw cannot(`the activation is "${String(activation)}"`);
  const windowed = typeof fields.sliding_window === "number" && fields.use_sliding_window !== false ? (fields.sliding_window as number) : undefined;
  const keepsWindow = prefix === "gemma2" || prefix === "phi3";
  // llama.cpp knows no window for the others. Up to its length, attention with and without it are the same.
  const context = keepsWindow ? fields.max_position_embeddings : Math.min(fields.max_position_embeddings, windowed ?? Infinity);
  const metadata = new Map<string, GgufValue>([
    [`${prefix}.vocab_size`, u32(fields.vocab_size)],
    [`${prefix}.context_length`, u32(context)],
    [`${prefix}.embedding_length`, u32(fields.hidden_size)],
    [`${prefix}.block_count`, u32(fields.num_hidden_layers)],
    [`${prefix}.feed_forward_length`, u32(fields.intermediate_size)],
    [`${prefix}.attention.head_count`, u32(heads.heads)],
    [`${prefix}.attention.head_count_kv`, u32(heads.keyHeads)],
    [`${prefix}.attention.key_length`, u32(heads.headDim)],
    [`${prefix}.attention.value_length`, u32(heads.headDim)],
    [`${prefix}.attention.layer_norm_rms_epsilon`, f32(fields.rms_norm_eps)],
  ]);
  if (keepsWindow) metadata.set(`${prefix}.attention.sliding_window`, u32(windowed ?? 0));
  const settings = { metadata, tensors: new Map<string, HostTensor>(), heads };
  if (prefix === "gemma2") addGemma2(fields, windowed, settings);
  addRope(prefix, name, fields, heads.headDim, settings);
  return settings;
}

function addGemma2(fields: Readonly<Record<string, unknown>>, window: number | undefined, { metadata, heads: { heads, headDim } }: GgufSettings): void {
  // llama.cpp scales scores by 1 / sqrt(head size), but in the 27B model, which it tells by its 46 layers.
  const scale = fields.num_hidden_layers === 46 ? (fields.hidden_size as number) / heads : headDim;
  if (fields.query_pre_attn_scalar !== scale) throw cannot(`query_pre_attn_scalar is ${String(fields.query_pre_attn_scalar)}, not ${scale}`);
  if (typeof fields.attn_logit_softcapping !== "number" || typeof fields.final_logit_softcapping !== "number" || window === undefined) throw cannot("this Gemma 2 has no soft caps or no sliding window");
  metadata.set("gemma2.attn_logit_softcapping", f32(fields.attn_logit_softcapping));
  metadata.set("gemma2.final_logit_softcapping", f32(fields.final_logit_softcapping));
}
