import { checkNumber, checkOptions } from "../base/index.js";
import { normalizeDim, type Tensor } from "../graph/index.js";
import { argmax } from "./argreduce.js";
import { asTensor, toFloat } from "./operand.js";
import { rand } from "./random.js";
import { detach } from "./identity.js";
import { add, cast, div, eq, log, log1p, maximum, neg, sub } from "./scalar.js";
import { softmax } from "./softmax.js";
import { iota } from "./source.js";

/** Options of {@link gumbelSoftmax}. */
export interface GumbelSoftmaxOptions {
  /** Temperature above 0, 1 by default: near 0 the samples are almost one-hot. */
  readonly tau?: number;
  /** One-hot samples with the gradient of the soft ones. */
  readonly hard?: boolean;
  /** The dim that holds the classes, -1 by default. */
  readonly dim?: number;
}

/**
 * Differentiable samples from a categorical distribution: softmax((logits + g) / tau) with Gumbel noise g (Jang et al., 2016; Maddison et al., 2016).
 * @throws GraftError `argument` when tau is not above 0.
 * @example const choice = F.gumbelSoftmax(logits, { tau: 0.5, hard: true });
 */
export function gumbelSoftmax(logits: Tensor, options: GumbelSoftmaxOptions = {}): Tensor {
  checkOptions("gumbelSoftmax", options, ["tau", "hard", "dim"]);
  const x = toFloat(asTensor("gumbelSoftmax", "logits", logits));
  const dim = normalizeDim("gumbelSoftmax", options.dim ?? -1, x.ndim);
  const tau = checkNumber("gumbelSoftmax", "tau", options.tau ?? 1, { above: 0 });
  // -ln(u) for u = 1 - rand in (0, 1] is exponential; u = 1 would give the noise ln(1 / 0)
  const exponential = maximum(neg(log1p(neg(rand(x.shape)))), 2 ** -25);
  const soft = softmax(div(sub(x, cast(log(exponential), x.dtype)), tau), dim);
  if (!options.hard) return soft;
  const best = argmax(soft, { dim, keepdim: true });
  const hard = cast(eq(best, iota(x.shape.map((n, d) => (d === dim ? n : 1)), dim)), soft.dtype);
  return add(detach(sub(hard, soft)), soft);
}
