import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { broadcastShapes, isFloat, recordMany, showShape, type Shape, type Tensor } from "../graph/index.js";
import { attentionOp, swapHeads, type AttentionAttrs } from "./attention-ops.js";
import { attendWhole } from "./attention-weights.js";
import { expand, reshape } from "./movement.js";
import { asTensor, operands, toFloat } from "./operand.js";
import { nextKey } from "./random.js";
import { toBool } from "./scalar.js";

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /** Broadcasts to [..., T, S]. bool or integers: 1 where a query may look; floats: added to the scores. */
  readonly attnMask?: Tensor | null;
  /** Probability that a weight is dropped; 0 by default. Pass it while training only. */
  readonly dropoutP?: number;
  /** Query i sees keys 0..i only. */
  readonly isCausal?: boolean;
  /** Factor of the scores, 1 / sqrt(E) by default. */
  readonly scale?: number;
  /** Several query heads share one key and value head: head h uses head floor(h / (H / Hkv)). */
  readonly enableGqa?: boolean;
}

function checkShapes(q: Shape, k: Shape, v: Shape, grouped: boolean): void {
  const wrong = (how: string): GraftError => new GraftError("shape", `scaledDotProductAttention: query is ${showShape(q)}, key is ${showShape(k)}, value is ${showShape(v)}. ${how}`);
  if (q.length < 2 || k.length !== q.length || v.length !== q.length) throw wrong("They must be [..., T, E], [..., S, E], [..., S, Ev] with the same number of dims.");
  if (q[q.length - 1] !== k[k.length - 1]) throw wrong(`Query and key need the same last size (${q[q.length - 1]} != ${k[k.length - 1]}).`);
  if (k[k.length - 2] !== v[v.length - 2]) throw wrong(`Key and value need the same length (${k[k.length - 2]} != ${v[v.length - 2]}).`);
  const differ = (a: number, b: number): boolean => a !== b && a !== 1 && b !== 1;
  const lead = q.slice(0, grouped ? -3 : -2);
  if (lead.some((n, d) => differ(n, k[d]) || differ(n, v[d]) || differ(k[d], v[d]))) throw wrong("Leading dims must be equal or 1; query may have more heads than key and value with enableGqa.");
  if (!grouped) return;
  const [heads, keyHeads, valueHeads] = [q, k, v].map((shape) => shape[shape.length - 3]);
  if (q.length < 3 || keyHeads !== valueHeads || heads % keyHeads !== 0) throw wrong("With enableGqa the heads (dim -3) of query must be a multiple of those of key and value.");
}

/**
 * softmax(q k^T * scale + mask) v (Vaswani et al., 2017): query [..., H, T, E], key [..., H, S, E], value [..., H, S, Ev] give [..., H, T, Ev].
 * A query that may look nowhere gets zeros.
 * @throws GraftError `shape` when sizes do not fit, `argument` when both attnMask and isCausal are given.
 * @example F.scaledDotProductAttention(q, k, v, { isCausal: true });
 */
export function scaledDotProductAttention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions = {}): Tensor {
  const op = "scaledDotProductAttention";
  checkOptions(op, options, ["attnMask", "dropoutP", "isCausal", "scale", "enableGqa"]);
  const { attnMask, dropoutP = 0, isCausal = false, enableGqa = false } = options;
  checkShapes(asTensor(op, "query", query).shape, asTensor(op, "key", key).shape, asTensor(op, "value", value).shape, enableGqa);
  if (attnMask && isCausal) throw new GraftError("argument", `${op}: attnMask and isCausal are both given. Put the causal mask into attnMask: F.tril of ones.`);
  const [q, k, v] = stretched([...operands(op, toFloat(query), toFloat(key)), toFloat(value)], enableGqa);
  const [T, E] = q.shape.slice(-2);
  const S = k.shape[k.ndim - 2];
  const scale = checkNumber(op, "scale", options.scale ?? 1 / Math.sqrt(E));
  if (attnMask) checkMask(op, attnMask, [...q.shape.slice(0, -1), S]);
  const inTiles = T >= tiledFrom && q.ndim <= 4 && q.dtype === v.dtype && (q.dtype === "f32" || q.dtype === "f64") && !(attnMask && isFloat(attnMask.dtype));
  if (inTiles && q.shape.concat(k.shape, v.shape).every((n) => n > 0)) return tiled([q, k, v], attnMask ? toBool(attnMask) : undefined, { scale, causal: isCausal, dropout: checkNumber(op, "dropoutP", dropoutP, { min: 0, max: 1 }) });
  return attendWhole(q, k, v, { scale, causal: isCausal, mask: attnMask ?? undefined, dropoutP });
}

/** The same with equal leading dims: sizes of 1 are stretched. With `grouped` each keeps its number of heads. */
function stretched(inputs: readonly Tensor[], grouped: boolean): Tensor[] {
  const own = grouped ? -3 : -2;
  const lead = inputs.map((x): Shape => x.shape.slice(0, own)).reduce((a, b) => broadcastShapes("scaledDotProductAttention", a, b));
  return inputs.map((x) => expand(x, [...lead, ...x.shape.slice(own)]));
}

/** Fewer queries than these (generation reads one at a time) would not pay for packing the keys. */
const tiledFrom = 8;

/** {@link attentionOp} with the leading dims that are missing. */
function tiled(inputs: readonly Tensor[], mask: Tensor | undefined, attrs: AttentionAttrs): Tensor {
  const [q] = inputs;
  const four = (x: Tensor): Tensor => reshape(x, [...Array<number>(4 - x.ndim).fill(1), ...x.shape]);
  const heads = inputs.map(four);
  const places = mask === undefined ? [] : [expand(four(mask), [...heads[0].shape.slice(0, 3), heads[1].shape[2]])];
  const key = attrs.dropout > 0 ? [nextKey()] : [];
  const [y] = recordMany(attentionOp, [...heads, ...key, ...places], attrs);
  return reshape(swapHeads(y), [...q.shape.slice(0, -1), y.shape[3]]);
}

function checkMask(op: string, mask: Tensor, scores: Shape): void {
  const fits = asTensor(op, "attnMask", mask).ndim <= scores.length && mask.shape.every((n, d) => n === 1 || n === scores[d + scores.length - mask.ndim]);
  if (!fits) throw new GraftError("shape", `${op}: attnMask is ${showShape(mask.shape)}, the scores are ${showShape(scores)}. The mask must broadcast to the scores.`);
}
