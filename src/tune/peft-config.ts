import { GraftError } from "../base/index.js";
import type { Json, JsonObject } from "../io/index.js";
import type { LayerAdapter } from "./lora-layer.js";
import { endsIn } from "./targets.js";

/** What an `adapter_config.json` says about all layers. */
export interface AdapterConfig {
  readonly alpha: number;
  readonly rsLora: boolean;
  readonly dora: boolean;
  readonly dropout: number;
  readonly modulesToSave: readonly string[];
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Class of the model that it was made for, where it says so. */
  readonly madeFor: string | undefined;
  /** Folder or name of that model, where it says so. */
  readonly baseModel: string | undefined;
}

/** Settings that change what an adapter computes and that Graft does not have. */
const foreign = [
  "lora_bias", "layer_replication", "trainable_token_indices", "target_parameters", "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config",
  "monteclora_config",
];

/** Ways to start that change the base model, so that the factors mean nothing without it. */
const changesBase = /^(pissa|olora|corda|loftq|lora_ga)/;

const isEmpty = (value: Json | undefined): boolean =>
  value === undefined || value === null || value === false || value === "" || (typeof value === "object" && Object.keys(value).length === 0);

const text = (value: Json | undefined): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Reads a config. Throws `format` with all that is wrong or not supported. */
export function readAdapterConfig(file: string, json: JsonObject): AdapterConfig {
  const problems: string[] = [];
  const read = <T extends Json>(key: string, kind: "number" | "boolean" | "object", otherwise: T): T => {
    const value = json[key];
    if (value === undefined || value === null) return otherwise;
    if (typeof value === kind) return value as T;
    problems.push(`${key} is ${JSON.stringify(value)}, not a ${kind}`);
    return otherwise;
  };
  if (json.peft_type !== "LORA") problems.push(`peft_type is ${JSON.stringify(json.peft_type ?? null)}; only LORA is supported`);
  if (!isEmpty(json.bias) && json.bias !== "none") problems.push(`bias is ${JSON.stringify(json.bias)}; only "none" is supported`);
  const start = json.init_lora_weights;
  if (typeof start === "string" && changesBase.test(start)) problems.push(`init_lora_weights is "${start}", which changes the base model; save the adapter as ordinary LoRA first (PEFT: path_initial_model_for_weight_conversion)`);
  for (const key of foreign) if (!isEmpty(json[key])) problems.push(`${key} is not supported`);
  const alphaPattern = read<JsonObject>("alpha_pattern", "object", {});
  for (const [key, value] of Object.entries(alphaPattern)) if (typeof value !== "number") problems.push(`alpha_pattern.${key} is ${JSON.stringify(value)}, not a number`);
  const modulesToSave = json.modules_to_save ?? [];
  if (!Array.isArray(modulesToSave) || !modulesToSave.every((name) => typeof name === "string")) problems.push("modules_to_save is not a list of names");
  const config = {
    alpha: read<number>("lora_alpha", "number", 8),
    rsLora: read<boolean>("use_rslora", "boolean", false),
    dora: read<boolean>("use_dora", "boolean", false),
    dropout: read<number>("lora_dropout", "number", 0),
    modulesToSave: modulesToSave as readonly string[],
    alphaPattern: alphaPattern as Readonly<Record<string, number>>,
    madeFor: text(read<JsonObject>("auto_mapping", "object", {}).base_model_class),
    baseModel: text(json.base_model_name_or_path),
  };
  if (!(config.dropout >= 0 && config.dropout <= 1)) problems.push(`lora_dropout is ${config.dropout}, not from 0 to 1`);
  if (problems.length > 0) throw new GraftError("format", `${file}: ${problems.join("; ")}. Save the adapter with other settings.`);
  return config;
}

/** alpha of one layer. PEFT's patterns are regular expressions for the end of a path. */
export function alphaOf({ alpha, alphaPattern }: AdapterConfig, path: string): number {
  for (const [pattern, value] of Object.entries(alphaPattern)) {
    let matches = endsIn(path, [pattern]);
    try {
      matches ||= new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(path);
    } catch {
      // not an expression that JavaScript knows: it was compared as a name
    }
    if (matches) return value;
  }
  return alpha;
}

const mostCommon = (values: readonly number[]): number => {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0];
};

/** What {@link writeAdapterConfig} is told. */
export interface AdapterFacts {
  readonly layers: ReadonlyMap<string, LayerAdapter>;
  /** Paths of all modules, to find names that mean these layers and no other. */
  readonly paths: readonly string[];
  readonly saved: readonly string[];
  readonly transposed: boolean;
  readonly baseModel: string | null;
  /** Version of the base model on the hub. */
  readonly revision: string | null;
  readonly taskType: string | null;
  /** Class and `model_type` of a text model of Hugging Face's. */
  readonly madeFor: readonly [name: string, modelType: string] | null;
}

/** The config of an adapter as PEFT reads it. */
export function writeAdapterConfig({ layers, paths, saved, transposed, baseModel, revision, taskType, madeFor }: AdapterFacts): JsonObject {
  const all = [...layers.values()];
  const [r, alpha] = [mostCommon(all.map((layer) => layer.r)), mostCommon(all.map((layer) => layer.alpha))];
  const others = (key: "r" | "alpha", usual: number): Record<string, number> => Object.fromEntries([...layers].filter(([, layer]) => layer[key] !== usual).map(([path, layer]) => [path, layer[key]]));
  return {
    peft_type: "LORA",
    task_type: taskType,
    auto_mapping: madeFor === null ? null : { base_model_class: madeFor[0], parent_library: `transformers.models.${madeFor[1]}.modeling_${madeFor[1]}` },
    base_model_name_or_path: baseModel,
    revision,
    inference_mode: true,
    r,
    lora_alpha: alpha,
    lora_dropout: all[0].dropout,
    target_modules: shortNames([...layers.keys()], paths),
    rank_pattern: others("r", r),
    alpha_pattern: others("alpha", alpha),
    modules_to_save: saved.length === 0 ? null : shortNames(saved, paths),
    bias: "none",
    fan_in_fan_out: transposed,
    init_lora_weights: true,
    use_rslora: all[0].rsLora,
    use_dora: all[0].dora,
  };
}

/** Last parts of the paths where they mean these modules only, otherwise the whole paths. */
function shortNames(chosen: readonly string[], paths: readonly string[]): string[] {
  const names = [...new Set(chosen.map((path) => path.slice(path.lastIndexOf(".") + 1)))].sort();
  return paths.filter((path) => endsIn(path, names)).length === chosen.length ? names : [...chosen];
}
