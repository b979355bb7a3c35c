import { checkNumber, checkOptions } from "../../../base/index.js";
import { realize } from "../../../runtime/index.js";
import { onnxBytes, writeOnnx, type OnnxValueInfo } from "../../../io/index.js";
import type { Module } from "../../../nn/index.js";
import { graftVersion } from "../../config.js";
import { checkPlain } from "../../plain.js";
import { programOf } from "./program.js";
import { graphOf } from "./write-graph.js";

/** Options of {@link exportOnnx}. */
export interface ExportOnnxOptions {
  /** Shape of one input without the batch, for a model whose config does not say `input_shape`. Default: the config's. */
  readonly inputShape?: readonly number[];
  /** Fixes the number of samples. Default: any. */
  readonly batch?: number;
  /** Fixes the number of tokens of a text model. Default: any. */
  readonly length?: number;
  /**
   * Next-token models only: keys and values of earlier tokens are inputs (`past_key_values.0.key`, ... [B, heads, past, D]) beside `position_ids`, and those of all
   * tokens outputs (`present.0.key`, ...), so that a new token costs one step whatever came before. Default: false.
   */
  readonly cache?: boolean;
  /** Weights go to a second file, FILE.data. Default: only where they would not fit into one, which holds 2 GiB. */
  readonly externalData?: boolean;
  /** Name of the graph. Default: the model's class. */
  readonly name?: string;
}

/** What {@link exportOnnx} wrote. */
export interface OnnxExport {
  readonly files: readonly string[];
  /** Inputs and outputs with their shapes; dims by name are free. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Number of operations. */
  readonly nodes: number;
  /** Bytes that the weights take. */
  readonly bytes: number;
}

/** Version of the operators: the first with LayerNormalization. */
const opset = 17;

/** What a program that runs the file may want to know of the model. */
function metadataOf(model: Module): Record<string, string> {
  const { config = {} } = model as { readonly config?: Readonly<Record<string, unknown>> };
  const told = ["model_type", "architecture", "classes", "id2label", "preprocess"].flatMap((key) => (config[key] === undefined ? [] : [[key, config[key]] as const]));
  return Object.fromEntries(told.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}

/**
 * Writes a model as an ONNX file, which ONNX Runtime runs in Python, C++, browsers and phones: what `forward` computes in evaluation mode, for any batch size and, in text models, any length.
 * Text models take `input_ids` and `attention_mask` [B, T] (BERT also `token_type_ids`) as 64-bit integers, image models `pixel_values` [B, C, H, W], others `input`; the result is `logits`. The
 * graph is what `forward` records, so a module of your own can be exported as well. Written atomically.
 *
 * Throws `config` for an op that ONNX has nothing for and a `forward` that takes other ways at other sizes, `state` for adapters that are not merged and layers in few bits, `argument`
 * where it is not known what the model takes, `file` when the file cannot be written.
 * @example
 * const model = await models.load("runs/digits");
 * await models.exportOnnx(model, "digits.onnx");
 */
export async function exportOnnx(model: Module, file: string, options: ExportOnnxOptions = {}): Promise<OnnxExport> {
  checkOptions("exportOnnx", options, ["inputShape", "batch", "length", "cache", "externalData", "name"]);
  for (const name of ["batch", "length"] as const) if (options[name] !== undefined) checkNumber("exportOnnx", name, options[name], { min: 1, whole: true });
  checkPlain("exportOnnx", model);
  await realize(...model.stateDict().values(), ...model.buffers());
  const graph = graphOf(programOf(model, options));
  const bytes = onnxBytes(graph.constants);
  const { externalData, name = model.constructor.name } = options;
  const content = { ...graph, name, opset, producer: { name: "graftml", version: graftVersion() }, metadata: metadataOf(model) };
  const files = await writeOnnx(file, content, externalData === undefined ? {} : { externalData });
  return { files, inputs: graph.inputs, outputs: graph.outputs, nodes: graph.nodes.length, bytes };
}
