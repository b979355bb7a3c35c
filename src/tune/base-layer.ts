import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import * as nn from "../nn/index.js";
import { QuantLinear } from "./quant-linear.js";

/** The layers that an adapter can be added to. */
export type BaseLayer = nn.Linear | nn.TransposedLinear | QuantLinear;

export const isBaseLayer = (module: nn.Module): module is BaseLayer => module instanceof nn.Linear || module instanceof nn.TransposedLinear || module instanceof QuantLinear;

/** Whether the stored matrix is [in, out]. */
export const isTransposed = (layer: BaseLayer): boolean => (layer instanceof QuantLinear ? layer.transposed : layer instanceof nn.TransposedLinear);

/** x W^T without the bias. */
export function product(layer: BaseLayer, x: Tensor): Tensor {
  if (layer instanceof QuantLinear) return layer.product(x);
  return layer instanceof nn.TransposedLinear ? F.matmul(x, layer.weight) : F.linear(x, layer.weight);
}

/** The matrix as it is stored ([out, in], or [in, out] where the layer is transposed), in f32 or f64. */
export function denseWeight(layer: BaseLayer): Tensor {
  if (layer instanceof QuantLinear) return F.dequantize(layer.matrix);
  return layer.weight.dtype === "f64" ? layer.weight : F.cast(layer.weight, "f32");
}

/** dtype of what is added to the layer: f32 but for layers in f64. */
export const adapterDType = (layer: BaseLayer): "f32" | "f64" => (!(layer instanceof QuantLinear) && layer.weight.dtype === "f64" ? "f64" : "f32");
