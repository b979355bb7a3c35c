import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { isFloat, showShape, type Tensor } from "../graph/index.js";
import { F, iota, scalar, zeros } from "../ops/index.js";
import { checkSize, constantParameter } from "./fresh.js";
import { xavierNormal, xavierUniform } from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** Options of {@link MultiheadAttention}. */
export interface MultiheadAttentionOptions {
  /** Probability that an attention weight is dropped in training. Default: 0. */
  readonly dropout?: number;
  /** Default: true. */
  readonly bias?: boolean;
  /** Learns one more key and value that every query may look at. Default: false. */
  readonly addBiasKv?: boolean;
  /** Adds one more key and value of zeros. Default: false. */
  readonly addZeroAttn?: boolean;
  /** Width of the keys. Default: embedDim. */
  readonly kdim?: number;
  /** Width of the values. Default: embedDim. */
  readonly vdim?: number;
  /** [B, T, E] instead of [T, B, E]. Default: false. */
  readonly batchFirst?: boolean;
}

/** Options of a forward pass of {@link MultiheadAttention}. */
export interface AttendOptions {
  /** [B, S]: bool (or integers), true where a key is to be ignored, or floats that are added to the scores. */
  readonly keyPaddingMask?: Tensor | null;
  /** [T, S] or [B * heads, T, S]: true where a query must not look, or floats that are added to the scores. */
  readonly attnMask?: Tensor | null;
  /** Query i looks at keys 0..i only. Default: false. */
  readonly isCausal?: boolean;
  /** Also return the attention weights. Without them a faster way is taken. Default: true, as in PyTorch. */
  readonly needWeights?: boolean;
  /** Average the weights over the heads. Default: true. */
  readonly averageAttnWeights?: boolean;
}

const known = ["dropout", "bias", "addBiasKv", "addZeroAttn", "kdim", "vdim", "batchFirst"] as const;
const knownAttend = ["keyPaddingMask", "attnMask", "isCausal", "needWeights", "averageAttnWeights"] as const;

/** A mask as numbers that are added to the scores: true becomes minus infinity. */
const asBias = (mask: Tensor, like: Tensor): Tensor => (isFloat(mask.dtype) ? F.cast(mask, like.dtype) : F.where(F.ne(mask, 0), scalar(-Infinity, like.dtype), scalar(0, like.dtype)));

/**
 * Multi-head attention (Vaswani et al., "Attention is all you need", 2017): softmax(q k^T / sqrt(D)) v in `numHeads` heads of D = embedDim / numHeads.
 * The projections of query, key and value are stacked in `in_proj_weight` [3 E, E]. Returns [output, weights or null].
 * @example
 * const [y] = new nn.MultiheadAttention(64, 8, { batchFirst: true }).forward(x, x, x, { isCausal: true, needWeights: false });
 */
export class MultiheadAttention extends Module {
  in_proj_weight: Parameter | null = null;
  q_proj_weight: Parameter | null = null;
  k_proj_weight: Parameter | null = null;
  v_proj_weight: Parameter | null = null;
  in_proj_bias: Parameter | null;
  bias_k: Parameter | null = null;
  bias_v: Parameter | null = null;
  out_proj: Linear;
  readonly dropout: number;
  readonly batchFirst: boolean;
  readonly addZeroAttn: boolean;
  readonly kdim: number;
  readonly vdim: number;

  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options: MultiheadAttentionOptions = {},
  ) {
    super();
    checkOptions("MultiheadAttention", options, known);
    const E = checkSize("MultiheadAttention", "embedDim", embedDim);
    if (E % checkSize("MultiheadAttention", "numHeads", numHeads) !== 0) throw new GraftError("argument", `MultiheadAttention: embedDim ${embedDim} cannot be cut into ${numHeads} heads. It must be a multiple.`);
    this.dropout = checkNumber("MultiheadAttention", "dropout", options.dropout ?? 0, { min: 0, max: 1 });
    this.batchFirst = options.batchFirst ?? false;
    this.addZeroAttn = options.addZeroAttn ?? false;
    this.kdim = options.kdim ?? E;
    this.vdim = options.vdim ?? E;
    const empty = (...shape: number[]): Parameter => constantParameter(shape, 0);
    if (this.kdim === E && this.vdim === E) this.in_proj_weight = empty(3 * E, E);
    else {
      this.q_proj_weight = empty(E, E);
      this.k_proj_weight = empty(E, this.kdim);
      this.v_proj_weight = empty(E, this.vdim);
    }
    const bias = options.bias ?? true;
    this.in_proj_bias = bias ? empty(3 * E) : null;
    this.out_proj = new Linear(E, E, { bias });
    if (this.out_proj.bias) this.out_proj.bias = empty(E);
    for (const weight of [this.in_proj_weight, this.q_proj_weight, this.k_proj_weight, this.v_proj_weight]) if (weight) xavierUniform(weight);
    if (options.addBiasKv ?? false) {
      this.bias_k = xavierNormal(empty(1, 1, E)) as Parameter;
      this.bias_v = xavierNormal(empty(1, 1, E)) as Parameter;
    }
  }

  /** query [B, T, E], key [B, S, kdim], value [B, S, vdim] (with `batchFirst`; otherwise the first two dims are swapped; or without B). */
  forward(query: Tensor, key: Tensor, value: Tensor, options: AttendOptions = {}): [Tensor, Tensor | null] {
    checkOptions("MultiheadAttention.forward", options, knownAttend);
    const single = query.ndim === 2;
    this.checkInputs(query, key, value);
    const arrange = (x: Tensor): Tensor => (single ? F.unsqueeze(x, 0) : this.batchFirst ? x : F.transpose(x, 0, 1));
    const self = query === key && key === value;
    const q0 = arrange(query);
    let [q, k, v] = this.project(q0, self ? q0 : arrange(key), self ? q0 : key === value ? undefined : arrange(value)); // [B, T, E], [B, S, E], [B, S, E]
    const [B, T] = q.shape;
    const extra: Tensor[][] = [];
    if (this.bias_k && this.bias_v) extra.push([this.bias_k, this.bias_v].map((bias) => F.expand(bias, [B, 1, this.embedDim])));
    if (this.addZeroAttn) extra.push([0, 1].map(() => zeros([B, 1, this.embedDim], { dtype: q.dtype })));
    for (const [moreK, moreV] of extra) [k, v] = [F.cat([k, moreK], 1), F.cat([v, moreV], 1)];
    const heads = (x: Tensor): Tensor => F.transpose(F.reshape(x, [B, x.shape[1], this.numHeads, this.embedDim / this.numHeads]), 1, 2); // [B, H, T, D]
    const mask = this.mask(q, k, extra.length, options);
    const dropoutP = this.training ? this.dropout : 0;
    const isCausal = (options.isCausal ?? false) && mask === undefined;
    const needWeights = options.needWeights ?? true;
    let mixed: Tensor;
    let weights: Tensor | null = null;
    if (!needWeights) mixed = F.scaledDotProductAttention(heads(q), heads(k), heads(v), { ...(mask ? { attnMask: mask } : { isCausal }), dropoutP });
    else {
      const scores = F.div(F.matmul(heads(q), F.transpose(heads(k))), Math.sqrt(this.embedDim / this.numHeads)); // [B, H, T, S]
      const bias = mask ?? (isCausal ? causalBias(scores) : undefined);
      weights = F.softmax(bias ? F.add(scores, bias) : scores, -1);
      mixed = F.matmul(F.dropout(weights, { p: dropoutP }), heads(v));
      if (options.averageAttnWeights ?? true) weights = F.mean(weights, { dim: 1 });
      if (single) weights = F.squeeze(weights, 0);
    }
    const output = this.out_proj.forward(F.reshape(F.transpose(mixed, 1, 2), [B, T, this.embedDim]));
    return [single ? F.squeeze(output, 0) : this.batchFirst ? output : F.transpose(output, 0, 1), weights];
  }

  private checkInputs(query: Tensor, key: Tensor, value: Tensor): void {
    const shapes = `query is ${showShape(query.shape)}, key is ${showShape(key.shape)}, value is ${showShape(value.shape)}`;
    if ((query.ndim !== 3 && query.ndim !== 2) || key.ndim !== query.ndim || value.ndim !== query.ndim) throw new GraftError("shape", `MultiheadAttention: ${shapes}. All must have three dims (or two, without a batch).`);
    const widths = [query, key, value].map((x) => x.shape[x.ndim - 1]);
    if (widths[0] !== this.embedDim || widths[1] !== this.kdim || widths[2] !== this.vdim) {
      throw new GraftError("shape", `MultiheadAttention: ${shapes}. Their last dims must be ${this.embedDim}, ${this.kdim} and ${this.vdim}.`);
    }
    if (key.shape.slice(0, -1).join() !== value.shape.slice(0, -1).join()) throw new GraftError("shape", `MultiheadAttention: ${shapes}. Key and value must have the same length and batch.`);
    const batch = this.batchFirst ? 0 : 1;
    if (query.ndim === 3 && query.shape[batch] !== key.shape[batch]) throw new GraftError("shape", `MultiheadAttention: ${shapes}. The batch sizes differ; batchFirst is ${this.batchFirst}.`);
  }

  /** Query, key and value behind their projections: one product where all come from the same tensor. `value` undefined: the same as `key`. */
  private project(query: Tensor, key: Tensor, value: Tensor | undefined): [Tensor, Tensor, Tensor] {
    const E = this.embedDim;
    const biases = this.in_proj_bias ? F.split(this.in_proj_bias, E, 0) : [null, null, null];
    if (!this.in_proj_weight) {
      const weights = [this.q_proj_weight!, this.k_proj_weight!, this.v_proj_weight!];
      return [query, key, value ?? key].map((x, i) => F.linear(x, weights[i], biases[i])) as [Tensor, Tensor, Tensor];
    }
    if (query === key && (value === undefined || value === key)) return F.split(F.linear(query, this.in_proj_weight, this.in_proj_bias), E, 2) as [Tensor, Tensor, Tensor];
    const weights = F.split(this.in_proj_weight, E, 0);
    return [query, key, value ?? key].map((x, i) => F.linear(x, weights[i], biases[i])) as [Tensor, Tensor, Tensor];
  }

  /** All masks as one tensor to add to the scores [B, H, T, S]; undefined where there is none (a causal one alone is left to the caller). */
  private mask(q: Tensor, k: Tensor, extra: number, { attnMask, keyPaddingMask, isCausal }: AttendOptions): Tensor | undefined {
    const [B, T] = q.shape;
    const S = k.shape[1] - extra;
    const widen = (mask: Tensor): Tensor => (extra > 0 ? F.pad(mask, [0, extra]) : mask); // added keys are always visible
    let total: Tensor | undefined;
    if (attnMask) {
      const fits = attnMask.ndim === 2 ? attnMask.shape.join() === [T, S].join() : attnMask.shape.join() === [B * this.numHeads, T, S].join();
      if (!fits) throw new GraftError("shape", `MultiheadAttention: attnMask is ${showShape(attnMask.shape)}. It must be [T, S] = [${T}, ${S}] or [B * heads, T, S] = [${B * this.numHeads}, ${T}, ${S}].`);
      const bias = widen(asBias(attnMask, q));
      total = attnMask.ndim === 3 ? F.reshape(bias, [B, this.numHeads, T, S + extra]) : bias;
    }
    if (keyPaddingMask) {
      const full = keyPaddingMask.ndim === 1 ? F.unsqueeze(keyPaddingMask, 0) : keyPaddingMask;
      if (full.shape.join() !== [B, S].join()) throw new GraftError("shape", `MultiheadAttention: keyPaddingMask is ${showShape(keyPaddingMask.shape)}. It must be [B, S] = [${B}, ${S}].`);
      const bias = F.reshape(widen(asBias(full, q)), [B, 1, 1, S + extra]);
      total = total ? F.add(total, bias) : bias;
    }
    if (isCausal && !attnMask && (total || extra > 0)) {
      const bias = widen(asBias(F.gt(iota([T, S], 1), iota([T, S], 0)), q));
      total = total ? F.add(total, bias) : bias;
    }
    return total;
  }
}

/** Minus infinity right of the diagonal. */
function causalBias(scores: Tensor): Tensor {
  const [T, S] = scores.shape.slice(-2);
  return asBias(F.gt(iota([T, S], 1), iota([T, S], 0)), scores);
}
