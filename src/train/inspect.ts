import { checkOptions, GraftError } from "../base/index.js";
import { allocate, fromData, showShape, sizeOf, type DType, type Shape, type Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { F, square, sum } from "../ops/index.js";
import { currentBackend, type PlanInfo } from "../runtime/index.js";
import { objective } from "./batch.js";
import { makeOptimizer } from "./fit-options.js";
import { planStep } from "./memory.js";
import type { FitOptions, LossFunction } from "./types.js";

/** Options of {@link inspect}. */
export interface InspectOptions {
  /** Default: 64. */
  readonly batchSize?: number;
  /** Default: Adam, as in `fit`. */
  readonly optimizer?: FitOptions["optimizer"];
  /** Default: cross entropy for outputs [B, C, ...], otherwise the sum of squares. */
  readonly loss?: LossFunction;
  /** dtype of the input. Default: f32. */
  readonly dtype?: DType;
}

/** One module of a model. */
export interface LayerInfo {
  /** Path in the tree, "" for the model itself. */
  readonly path: string;
  readonly type: string;
  readonly output: Shape | undefined;
  /** Values in the module's own parameters. */
  readonly parameters: number;
  readonly shapes: { readonly [name: string]: Shape };
}

/** What `inspect` finds; `String(inspection)` is a table. */
export interface Inspection {
  readonly layers: readonly LayerInfo[];
  readonly parameters: number;
  readonly trainable: number;
  /** Bytes of parameters and buffers. */
  readonly bytes: number;
  readonly batchSize: number;
  /** One training step: forward, backward and update. */
  readonly step: PlanInfo;
  /** What it would run on. */
  readonly backend: string;
  toString(): string;
}

/**
 * Layers, shapes and parameters of a model, and what one training step takes (FLOPs, peak memory), known before anything runs: the step is compiled for
 * the present backend and thrown away. The model is as before afterwards. `inputShape` is the shape of one sample, without the batch.
 *
 * Throws `shape`, with the module's path, for inputs that the model does not take.
 * @example
 * const { step } = train.inspect(new SimpleCNN(), [1, 16, 16], { batchSize: 64 });
 * console.log(step.flops, step.peakBytes);
 */
export function inspect(model: Module, inputShape: Shape, options: InspectOptions = {}): Inspection {
  checkOptions("train.inspect", options, ["batchSize", "optimizer", "loss", "dtype"]);
  const { batchSize = 64, loss, dtype = "f32" } = options;
  if (!Array.isArray(inputShape) || !inputShape.every((n) => Number.isInteger(n) && n > 0)) throw new GraftError("argument", `train.inspect: inputShape is ${JSON.stringify(inputShape)}. Give the shape of one sample, for example [1, 16, 16].`);
  const input = blank([batchSize, ...inputShape], dtype);
  const summary = model.summary(input);
  const output = summary.rows[0].output;
  if (output === undefined) throw new GraftError("argument", `train.inspect: ${model.constructor.name}.forward gives no Tensor. It can only be inspected with model.summary().`);
  const classes = output.length >= 2 && loss === undefined;
  const cost: LossFunction = loss ?? (classes ? (out, target) => F.crossEntropy(out, target) : (out) => sum(square(out)));
  const target = classes ? blank(output.filter((_, d) => d !== 1), "i32") : blank(output, "f32");
  const optimizer = makeOptimizer(model, options.optimizer);
  const step = planStep({ model, optimizer, cost: objective(cost, undefined), metrics: {}, clip: undefined, regularize: undefined }, [input, target]);
  const { parameters, trainable, bytes } = summary;
  const layers = summary.rows.map(({ path, type, output: shape, parameters: count, shapes }): LayerInfo => ({ path, type, output: shape, parameters: count, shapes }));
  const inspection = { layers, parameters, trainable, bytes, batchSize, step, backend: currentBackend().description };
  return { ...inspection, toString: () => table(inspection) };
}

const blank = (shape: Shape, dtype: DType): Tensor => fromData(allocate(dtype, sizeOf(shape)), shape, dtype);

const grouped = (n: number): string => n.toLocaleString("en-US");

/** 12,345,678 bytes -> "11.8 MiB". */
export function showBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return unit === 0 ? `${bytes} bytes` : `${bytes.toFixed(1)} ${units[unit]}`;
}

/** 1,234,000 operations -> "1.23 MFLOP". */
function showFlops(flops: number): string {
  const units = ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"];
  let unit = 0;
  for (; flops >= 1000 && unit < units.length - 1; unit++) flops /= 1000;
  return `${flops.toFixed(unit === 0 ? 0 : 2)} ${units[unit]}`;
}

function table({ layers, parameters, trainable, bytes, batchSize, step, backend }: Omit<Inspection, "toString">): string {
  const rows = layers.map(({ path, type, output, parameters: count, shapes }) => {
    const depth = path === "" ? 0 : path.split(".").length;
    const names = Object.entries(shapes).map(([name, shape]) => `${name} ${showShape(shape)}`);
    return ["  ".repeat(depth) + (path || "(model)"), type, output === undefined ? "" : showShape(output), count === 0 ? "" : grouped(count), names.join(", ")];
  });
  const lines = [["layer", "type", "output", "parameters", "shapes"], ...rows];
  const widths = lines[0].map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  const text = lines.map((line) => line.map((cell, c) => (c === 3 ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join("  ").trimEnd());
  return [
    ...text,
    "",
    `parameters   ${grouped(parameters)}, ${grouped(trainable)} of them trainable, ${showBytes(bytes)} with buffers`,
    `one step     batch of ${batchSize}: ${showFlops(step.flops)} in ${step.steps} kernels`,
    `peak memory  ${showBytes(step.peakBytes)}: ${showBytes(step.inputBytes)} for weights, optimizer and batch, ${showBytes(step.arenaBytes + step.outputBytes)} working memory`,
    `backend      ${backend}`,
  ].join("\n");
}
