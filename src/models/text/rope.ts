import { GraftError } from "../../base/index.js";
import type { Json, JsonObject } from "../../io/index.js";
import { RotaryEmbedding, type RotaryScaling } from "../../nn/index.js";
import { nullable } from "./fields.js";

/** The keys about rotary positions, in the old form (`rope_theta`, `rope_scaling`) and the new (`rope_parameters`). */
export const ropeFields = { rope_theta: nullable("number"), rope_scaling: nullable("object"), rope_parameters: nullable("object"), partial_rotary_factor: nullable("number") };

/** A config that has {@link ropeFields}. */
export interface RopeConfig {
  readonly rope_theta: number | null;
  readonly rope_scaling: JsonObject | null;
  readonly rope_parameters: JsonObject | null;
  readonly partial_rotary_factor: number | null;
  readonly max_position_embeddings: number;
  /** Phi 3 has it here. */
  readonly original_max_position_embeddings?: number | null;
}

const isObject = (value: Json | undefined): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The rotary embedding that a config describes. Throws `config` for an unknown kind of scaling or a missing number.
 */
export function rotaryOf(name: string, config: RopeConfig, headDim: number, defaultTheta = 10000): RotaryEmbedding {
  const nested = config.rope_parameters ?? {};
  const parameters: JsonObject = { ...(isObject(nested.full_attention) ? nested.full_attention : nested), ...config.rope_scaling };
  const bad = (problem: string): GraftError => new GraftError("config", `${name} config: rope parameters: ${problem}. Use the config.json of the checkpoint.`);
  const optional = (key: string): number | undefined => {
    const value = parameters[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "number") throw bad(`${key} is ${JSON.stringify(value)}, not a number`);
    return value;
  };
  const number = (key: string): number => {
    const value = optional(key);
    if (value === undefined) throw bad(`${key} is missing`);
    return value;
  };
  const list = (key: string): readonly number[] => {
    const value: Json | undefined = parameters[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "number")) throw bad(`${key} is not a list of numbers`);
    return value as readonly number[];
  };

  const theta = optional("rope_theta") ?? config.rope_theta ?? defaultTheta;
  const share = optional("partial_rotary_factor") ?? config.partial_rotary_factor ?? 1;
  const maxPositions = config.max_position_embeddings;
  const originalMaxPositions = config.original_max_position_embeddings ?? optional("original_max_position_embeddings") ?? maxPositions;
  const type = parameters.rope_type ?? parameters.type ?? "default";
  const scalingOf = (): RotaryScaling | undefined => {
    switch (type) {
      case "default":
        return undefined;
      case "linear":
        return { type, factor: number("factor") };
      case "dynamic":
        return { type, factor: number("factor"), maxPositions };
      case "llama3":
        return { type, factor: number("factor"), lowFreqFactor: number("low_freq_factor"), highFreqFactor: number("high_freq_factor"), originalMaxPositions };
      case "yarn": {
        const factor = optional("factor") ?? maxPositions / originalMaxPositions;
        const grown = (m = 1): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
        const [mscale, mscaleAll] = [optional("mscale"), optional("mscale_all_dim")];
        const attentionFactor = optional("attention_factor") ?? (mscale && mscaleAll ? grown(mscale) / grown(mscaleAll) : grown());
        return { type, factor, originalMaxPositions, attentionFactor, betaFast: optional("beta_fast") ?? 32, betaSlow: optional("beta_slow") ?? 1, truncate: parameters.truncate !== false };
      }
      case "longrope":
      case "su": {
        const factor = optional("factor") ?? maxPositions / originalMaxPositions;
        const attentionFactor = optional("attention_factor") ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalMaxPositions)));
        return { type: "longrope", shortFactor: list("short_factor"), longFactor: list("long_factor"), originalMaxPositions, attentionFactor };
      }
      default:
        throw bad(`rope_type is ${JSON.stringify(type)}; known are default, linear, dynamic, llama3, yarn, longrope`);
    }
  };
  return new RotaryEmbedding(Math.floor(headDim * share), { theta, scaling: scalingOf() });
}
