import { GraftError } from "../base/index.js";
import { isFloat, showShape, Tensor, type Node } from "../graph/index.js";
import { copyOf, madeOnHost } from "./values.js";

/** Constants get memory of their own, and a value that is a parameter already is copied. */
function ownNode(value: Tensor): Node {
  if (value.node.variable !== undefined) return copyOf(value).node;
  return (madeOnHost(value.node) ?? value).node;
}

/**
 * A tensor that a module learns: found by `parameters()`, saved in the state dict, updated by optimisers. A frozen parameter
 * (`requiresGrad = false`) stays one. The value may be recorded and not computed yet (`new Parameter(randn([3, 4]))`): the first use computes it.
 *
 * Throws `dtype` for integers, which have no gradient.
 *
 * @example
 * class Scale extends nn.Module {
 *   gain = new nn.Parameter(ones([8]));
 *   forward(x: Tensor): Tensor { return x.mul(this.gain); }
 * }
 */
export class Parameter extends Tensor {
  constructor(value: Tensor, options: { readonly requiresGrad?: boolean } = {}) {
    super(ownNode(value));
    const learn = options.requiresGrad ?? true;
    if (learn && !isFloat(value.dtype)) throw new GraftError("dtype", `Parameter: ${showShape(value.shape)} is ${value.dtype}, but only floats have gradients. Use a plain tensor field (a buffer) or { requiresGrad: false }.`);
    this.node.requiresGrad = learn;
    this.node.variable = this;
  }
}
