import { GraftError } from "../base/index.js";
import { sameShape, showShape, type RefArray, type Tensor } from "../graph/index.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { add, cast, mul, requireFloat } from "./scalar.js";

// What the norms over channels share; x is [B, C, ...].

/** Throws unless `p` is [C]. */
export function checkPerChannel(name: string, label: string, x: Tensor, p: Tensor): void {
  if (sameShape(asTensor(name, label, p).shape, [x.shape[1]])) return;
  throw new GraftError("shape", `${name}: ${label} is ${showShape(p.shape)}, x is ${showShape(x.shape)}. It needs one value per channel (dim 1): [${x.shape[1]}].`);
}

/** [C] as [C, 1, ...], which broadcasts to x. */
export const perChannel = (x: Tensor, p: Tensor): Tensor => reshape(cast(p, x.dtype), [x.shape[1], ...new Array<number>(x.ndim - 2).fill(1)]);

/** [C] as [C, 1], which broadcasts to x [B, C, S]. */
export const column = (p: Tensor): Tensor => reshape(p, [p.size, 1]);

/** Calls `body` for every element of x [B, C, S] with its channel. */
export function eachElement({ shape: [batch, channels, inner] }: RefArray, body: (i: number, channel: number) => void): void {
  for (let i = 0; i < batch * channels * inner; i++) body(i, Math.floor(i / inner) % channels);
}

/** x * weight + bias with one value per channel. */
export function channelAffine(name: string, x: Tensor, weight: Tensor | null | undefined, bias: Tensor | null | undefined): Tensor {
  if (weight) checkPerChannel(name, "weight", x, weight);
  if (bias) checkPerChannel(name, "bias", x, bias);
  const scaled = weight ? mul(x, perChannel(x, weight)) : x;
  return bias ? add(scaled, perChannel(x, bias)) : scaled;
}

/** Throws unless x is floats [B, C, ...] of at least `leastRank` dims. */
export function requireChannels(name: string, x: Tensor, leastRank: number): void {
  requireFloat(name, "x", asTensor(name, "x", x));
  if (x.ndim < leastRank) throw new GraftError("shape", `${name}: x is ${showShape(x.shape)}. It must be [B, C${leastRank > 2 ? ", d1" : ""}, ...].`);
}
