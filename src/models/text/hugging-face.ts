import { didYouMean, GraftError } from "../../base/index.js";
import type { DType } from "../../graph/index.js";
import type { Json, JsonObject } from "../../io/index.js";
import type { Family } from "./family.js";
import type { TextModel } from "./types.js";

/** The text models by `model_type`, each imported when it is needed first. */
const families: Readonly<Record<string, () => Promise<Family>>> = {
  gpt2: async () => (await import("../gpt2.js")).gpt2,
  llama: async () => (await import("../llama.js")).llama,
  qwen2: async () => (await import("../qwen2.js")).qwen2,
  qwen3: async () => (await import("../qwen3.js")).qwen3,
  mistral: async () => (await import("../mistral.js")).mistral,
  mixtral: async () => (await import("../mixtral.js")).mixtral,
  gemma2: async () => (await import("../gemma2.js")).gemma2,
  phi3: async () => (await import("../phi3.js")).phi3,
  bert: async () => (await import("../bert.js")).bert,
  roberta: async () => (await import("../roberta.js")).roberta,
  distilbert: async () => (await import("../distilbert.js")).distilbert,
};

/** The values of `model_type` that are known. */
export const textModelTypes = (): string[] => Object.keys(families);

/** Whether a config is one of Hugging Face's, which names its `model_type`, and not one of Graft's, which names its `architecture`. */
export const isHuggingFace = (config: JsonObject): boolean => typeof config.model_type === "string" && config.architecture === undefined;

/** What a model is to do; it chooses among the classes of an architecture. */
export type TextTask = "causal-lm" | "masked-lm" | "sequence-classification" | "token-classification";

const classesOf: Readonly<Record<TextTask, RegExp>> = {
  "causal-lm": /(ForCausalLM|LMHeadModel)$/,
  "masked-lm": /ForMaskedLM$/,
  "sequence-classification": /ForSequenceClassification$/,
  "token-classification": /ForTokenClassification$/,
};

/** Options of `create` and `load` about the head of a text model. */
export interface HeadOptions {
  /** Another head than the checkpoint's: it starts with fresh weights. Default: what the config's `architectures` says. */
  readonly task?: TextTask;
  /** Classes of a classifier, by name or number. Default: the config's. */
  readonly classes?: readonly string[] | number;
}

/** A model with fresh weights and how its files are read. */
export interface MadeModel {
  readonly model: TextModel;
  readonly family: Family;
  /** Its class is the one that the config names. */
  readonly native: boolean;
}

/** The config with the classes that are asked for. */
function relabel(config: JsonObject, classes: HeadOptions["classes"]): JsonObject {
  if (classes === undefined) return config;
  const { id2label: _old, label2id: _older, ...rest } = config;
  if (typeof classes === "number") return { ...rest, num_labels: classes };
  return { ...rest, id2label: Object.fromEntries(classes.map((name, i) => [i, name])), label2id: Object.fromEntries(classes.map((name, i) => [name, i])) };
}

/**
 * Makes the model that a Hugging Face config describes, with fresh weights. Throws `config` for an unknown `model_type`, or a task that the architecture has no head for.
 */
export async function makeText(config: JsonObject, { task, classes }: HeadOptions = {}): Promise<MadeModel> {
  const type = config.model_type as string;
  if (!Object.hasOwn(families, type)) {
    throw new GraftError("config", `config: there is no model for model_type ${JSON.stringify(type)}.${didYouMean(type, textModelTypes())} Known: ${textModelTypes().join(", ")}.`);
  }
  const family = await families[type]();
  const names = Object.keys(family.models);
  const named = Array.isArray(config.architectures) ? (config.architectures as readonly Json[]).find((name): name is string => typeof name === "string") : undefined;
  let name = named !== undefined && Object.hasOwn(family.models, named) ? named : names[0];
  if (task !== undefined) {
    const found = Object.hasOwn(classesOf, task) ? names.find((candidate) => classesOf[task].test(candidate)) : undefined;
    if (found === undefined) throw new GraftError("config", `config: ${type} has no head for the task ${JSON.stringify(task)}.${didYouMean(task, Object.keys(classesOf))} Its classes: ${names.join(", ")}.`);
    name = found;
  }
  const model = new family.models[name]({ ...relabel(config, classes), architectures: [name] });
  return { model, family, native: named === undefined || named === name };
}

const dtypeNames: Readonly<Record<string, DType>> = { float32: "f32", bfloat16: "bf16", float16: "f16" };

/** The dtype that a checkpoint says its weights have; f32 where it says nothing. */
export function storedDType(config: JsonObject): DType {
  const name = config.dtype ?? config.torch_dtype;
  return typeof name === "string" && Object.hasOwn(dtypeNames, name) ? dtypeNames[name] : "f32";
}

/** Hugging Face's name of a dtype. */
export const dtypeName = (dtype: DType): string => Object.keys(dtypeNames).find((name) => dtypeNames[name] === dtype) ?? "float32";
