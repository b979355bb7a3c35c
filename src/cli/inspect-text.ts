import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tensor } from "../graph/index.js";
import { modelFolder, type JsonObject } from "../io/index.js";
import { checkpointGradients, create, type TextModel } from "../models/index.js";
import { Module } from "../nn/index.js";
import { F, zeros } from "../ops/index.js";
import { AdamW } from "../optim/index.js";
import type { PlanInfo } from "../runtime/index.js";
import { inspect, showBytes, type LayerInfo } from "../train/index.js";
import { lora, qlora } from "../tune/index.js";
import { grouped, print, table } from "./output.js";

/** What one way of training takes. */
interface Method {
  readonly name: string;
  readonly trainable: number;
  /** Bytes of weights in all forms. */
  readonly weights: number;
  readonly step: PlanInfo;
}

const adapters = { r: 8, alpha: 16 };
/** The ways of training that are compared; each changes a model of its own. */
const methods: Readonly<Record<string, (model: Module) => void>> = {
  full: () => undefined,
  "full, checkpointing": (model) => checkpointGradients(model),
  lora: (model) => void lora(model, adapters),
  dora: (model) => void lora(model, { ...adapters, dora: true }),
  "qlora int8": (model) => void qlora(model, { ...adapters, type: "int8" }),
  "qlora nf4": (model) => void qlora(model, { ...adapters, type: "nf4" }),
  "qlora nf4, checkpointing": (model) => {
    qlora(model, { ...adapters, type: "nf4" });
    checkpointGradients(model);
  },
};

/** A model as a function from tokens to its loss: that of its own task, with any labels. */
class WithLoss extends Module {
  constructor(readonly model: TextModel) {
    super();
  }

  override forward(tokens: Tensor): Tensor {
    const { logits } = this.model.forward(tokens) as { logits: Tensor };
    const [rows, classes] = [logits.shape.slice(0, -1), logits.shape[logits.ndim - 1]]; // [B] of texts, or [B, T] of tokens
    return F.crossEntropy(logits.reshape([-1, classes]), zeros(rows, { dtype: "i32" }).reshape([-1]));
  }
}

/** The config of a Hugging Face folder or of a model on the hub; undefined for a folder of another kind. */
export async function textConfig(path: string): Promise<JsonObject | undefined> {
  const text = await readFile(join(path, "config.json"), "utf8").catch(async () => readFile(join(await modelFolder(path), "config.json"), "utf8").catch(() => undefined));
  let config: unknown;
  try {
    config = text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // models.load says what is wrong with it
  }
  return typeof config === "object" && config !== null && typeof (config as JsonObject).model_type === "string" ? (config as JsonObject) : undefined;
}

/** The length that steps are counted for: what was asked for, or up to 512 of what the model can read. */
function lengthOf(config: JsonObject, wanted: number | undefined): number {
  const most = [config.n_positions, config.max_position_embeddings].find((value): value is number => typeof value === "number") ?? 512;
  return wanted ?? Math.min(512, most);
}

async function measure(config: JsonObject, method: string, batchSize: number, length: number): Promise<{ found: Method; layers: readonly LayerInfo[]; parameters: number; backend: string }> {
  const model = new WithLoss(await create<TextModel>(config as JsonObject & { readonly model_type: string }));
  methods[method](model.model);
  const optimizer = (module: Module): AdamW => new AdamW(module.parameters().filter(({ requiresGrad }) => requiresGrad));
  const { layers, parameters, trainable, bytes, step, backend } = inspect(model.train(), [length], { batchSize, dtype: "i32", loss: (loss) => loss, optimizer });
  return { found: { name: method, trainable, weights: bytes, step }, layers, parameters, backend };
}

/** Layers of a text model, the first of each stack of blocks standing for all, and what a step takes with each method of training. */
export async function inspectText(config: JsonObject, options: { readonly batchSize: number; readonly length: number | undefined; readonly json: boolean | undefined }): Promise<void> {
  const { batchSize, length: wanted, json } = options;
  const length = lengthOf(config, wanted);
  const results: Method[] = [];
  let first: Awaited<ReturnType<typeof measure>> | undefined;
  for (const method of Object.keys(methods)) {
    const result = await measure(config, method, batchSize, length);
    first ??= result;
    results.push(result.found);
  }
  const { layers, parameters, backend } = first!;
  if (json) return print(JSON.stringify({ parameters, batchSize, length, backend, methods: results }));
  const own = layers.filter(({ path }) => path !== "").map((layer) => ({ ...layer, path: layer.path.replace(/^model\.?/, "") }));
  const shown = own.filter(({ path }) => !/\.([1-9]\d*)(\.|$)/.test(path));
  const blocks = new Set(own.map(({ path }) => /^(.*?)\.\d+$/.exec(path)?.[1]).filter((stack) => stack !== undefined && own.some(({ path }) => path.startsWith(`${stack}.0.`))));
  const name = (path: string): string => "  ".repeat(path === "" ? 0 : path.split(".").length) + (path || "(model)");
  print(table([["layer", "type", "parameters", "shapes"], ...shown.map(({ path, type, parameters: count, shapes }) => [
    name(path), type, count === 0 ? "" : grouped(count), Object.entries(shapes).map(([key, shape]) => `${key} [${shape.join(", ")}]`).join(", "),
  ])], { right: [2] }));
  for (const stack of blocks) print(`${stack}: ${own.filter(({ path }) => new RegExp(`^${stack!.replaceAll(".", "\\.")}\\.\\d+$`).test(path)).length} blocks like ${stack}.0`);
  print(`\n${grouped(parameters)} parameters. One step with AdamW on ${batchSize} x ${length} tokens (adapters: r = ${adapters.r} on all linear layers):\n`);
  print(table([["method", "learns", "weights", "optimizer, batch", "working memory", "peak"], ...results.map(({ name: method, trainable, weights, step }) => [
    method, grouped(trainable), showBytes(weights), showBytes(step.inputBytes - weights), showBytes(step.arenaBytes + step.outputBytes), showBytes(step.peakBytes),
  ])], { right: [1, 2, 3, 4, 5] }));
  print(`\nweights are counted in f32 where they are not in few bits. Working memory holds activations and gradients. backend: ${backend}`);
}
