import { sizeOf, type DType, type Shape, type TypedArray } from "../graph/index.js";
import type { Module } from "../nn/index.js";

/** Weights and buffers of a model in plain memory. */
export type Snapshot = Map<string, { readonly dtype: DType; readonly shape: Shape; readonly data: TypedArray }>;

/** A copy of everything in the model's state dict. */
export async function takeSnapshot(model: Module): Promise<Snapshot> {
  const snapshot: Snapshot = new Map();
  for (const [name, tensor] of model.stateDict()) snapshot.set(name, { dtype: tensor.dtype, shape: tensor.shape, data: await tensor.data() });
  return snapshot;
}

/** The name of the first tensor with a NaN or Inf (f32 and f64 ones are looked at). */
export function firstNotFinite(snapshot: Snapshot): string | undefined {
  for (const [name, { dtype, shape, data }] of snapshot) {
    if (dtype !== "f32" && dtype !== "f64") continue;
    for (let i = 0; i < sizeOf(shape); i++) if (!Number.isFinite(data[i])) return name;
  }
  return undefined;
}
