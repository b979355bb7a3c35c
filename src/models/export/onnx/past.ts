import { GraftError } from "../../../base/index.js";
import type { Tensor } from "../../../graph/index.js";
import { F, full } from "../../../ops/index.js";
import { KVCache, type Module } from "../../../nn/index.js";
import { isCausal } from "../../text/types.js";

/** Sizes of the keys and values of a model. */
export interface PastShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
}

/** The sizes of a model's keys. Throws `config` for a model that keeps none, or whose keys do not stay what they are. */
export function pastShape(model: Module): PastShape {
  const name = model.constructor.name;
  if (!isCausal(model)) throw new GraftError("config", `exportOnnx: ${name} does not predict next tokens, so it keeps no keys and values. Leave cache out.`);
  const { cacheLimit } = model;
  if (cacheLimit !== undefined) throw new GraftError("config", `exportOnnx: beyond ${cacheLimit} tokens ${name} (LongRoPE) turns all keys by other angles, so they cannot be kept. Leave cache out.`);
  const { keys } = model.newCache({ batch: 1, capacity: 1 });
  const [, heads, , headDim] = keys[0].shape;
  return { layers: keys.length, heads, headDim };
}

/** A cache without room of its own: keys and values of earlier tokens are given, and new ones are joined behind them. */
export class GivenCache extends KVCache {
  /** Keys and values of all tokens, by layer: [key, value, key, value, ...]. */
  readonly present: Tensor[] = [];
  private readonly before: number;

  /** `past`: keys and values [B, H, past, D] by layer, as `present`. `fresh`: number of new tokens. */
  constructor(
    shape: PastShape,
    private readonly past: readonly Tensor[],
    private readonly fresh: number,
  ) {
    super({ ...shape, batch: 1, capacity: 1 });
    this.before = past[0].shape[2];
    this.slot = full([1], this.before, { dtype: "i32" });
  }

  override get capacity(): number {
    return this.before + this.fresh;
  }
  override get length(): number {
    return this.before;
  }

  override update(layer: number, k: Tensor, v: Tensor): [keys: Tensor, values: Tensor] {
    const joined: [Tensor, Tensor] = [F.cat([this.past[2 * layer], k], 2), F.cat([this.past[2 * layer + 1], v], 2)];
    this.present.splice(2 * layer, 2, ...joined);
    return joined;
  }

  override advance(): void {
    // all tokens are new ones or given
  }
}
