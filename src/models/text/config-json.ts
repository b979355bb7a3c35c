import type { Json, JsonObject } from "../../io/index.js";

/**
 * Keys of Hugging Face configs whose values are real numbers. Transformers refuses 30 where it wants 30.0, a difference that JavaScript's numbers do not have.
 */
const realKeys = new Set(
  (
    "initializer_range initializer_factor rms_norm_eps layer_norm_eps layer_norm_epsilon final_logit_softcapping attn_logit_softcapping " +
    "rope_theta partial_rotary_factor factor low_freq_factor high_freq_factor attention_factor beta_fast beta_slow mscale mscale_all_dim short_factor long_factor " +
    "attention_dropout hidden_dropout activation_dropout dropout dropout_rate resid_pdrop embd_pdrop attn_pdrop hidden_dropout_prob attention_probs_dropout_prob classifier_dropout " +
    "qa_dropout seq_classif_dropout summary_first_dropout router_aux_loss_coef router_jitter_noise temperature top_p min_p typical_p repetition_penalty length_penalty"
  ).split(" "),
);

/** Keys that say by null what they say by their absence. */
const droppedNulls = new Set(["rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor", "num_key_value_heads", "head_dim", "n_inner", "problem_type", "classifier_dropout"]);

/** A config as JSON text that Transformers reads: indented, real numbers with their point. */
export function configText(config: JsonObject): string {
  const kept = Object.fromEntries(Object.entries(config).filter(([key, value]) => value !== null || !droppedNulls.has(key)));
  return `${write(kept, "", "")}\n`;
}

function write(value: Json, key: string, indent: string): string {
  if (typeof value === "number") return realKeys.has(key) && Number.isSafeInteger(value) ? `${value}.0` : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? (value as readonly Json[]).map((item) => inner + write(item, key, inner))
    : Object.entries(value as JsonObject).map(([name, item]) => `${inner}${JSON.stringify(name)}: ${write(item, name, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return lines.length === 0 ? open + close : `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}
