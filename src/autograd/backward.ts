import { env, GraftError } from "../base/index.js";
import { gradientScope, keepNode, sameShape, scoped, showShape, Tensor, withGrad } from "../graph/index.js";
import { add, ones } from "../ops/index.js";
import { differentiate } from "./differentiate.js";

/** Options of {@link Tensor.backward}. */
export interface BackwardOptions {
  /** dL/d(this), for a tensor that is not a scalar; same shape. Default: 1. */
  readonly gradient?: Tensor;
  /** Record the gradients so that they can be differentiated again. Default: false. */
  readonly createGraph?: boolean;
}

declare module "../graph/tensor.js" {
  interface Tensor {
    /**
     * Records the gradient of this scalar with respect to every parameter it depends on and adds it to their `.grad`. Nothing is computed
     * yet; the step that updates the parameters computes and stores this tensor's value too.
     *
     * Throws `gradient` when this is not a scalar (give `gradient`), or depends on nothing that wants a gradient.
     * @example loss.backward(); await optimizer.step(); console.log(loss.item());
     */
    backward(options?: BackwardOptions): void;
  }
}

Tensor.prototype.backward = function (this: Tensor, { gradient, createGraph = false }: BackwardOptions = {}): void {
  if (!this.requiresGrad) {
    throw new GraftError("gradient", `backward: ${this.toString()} depends on no tensor with requiresGrad. Make a parameter with { requiresGrad: true }, or check for noGrad() and detach().`);
  }
  if (gradient === undefined && this.size !== 1) {
    throw new GraftError("gradient", `backward: the tensor is ${showShape(this.shape)}, not a scalar. Reduce it (for example .sum() or .mean()), or pass { gradient }.`);
  }
  if (gradient !== undefined && !sameShape(gradient.shape, this.shape)) {
    throw new GraftError("gradient", `backward: the gradient is ${showShape(gradient.shape)}, the tensor ${showShape(this.shape)}. Shapes must be equal.`);
  }
  if (env.debug > 0 && this.node.value !== undefined && this.node.variable === undefined) hintReadBefore();
  keepNode(this.node);
  const seed = gradient ?? ones(this.shape, { dtype: this.dtype });
  if (gradient === undefined && scoped()) seed.node.scope = gradientScope(this.node.scope);
  withGrad(createGraph, () => {
    for (const [node, value] of differentiate([this], [seed], (end) => end.variable !== undefined)) {
      const variable = node.variable as Tensor;
      variable.grad = variable.grad === null ? value : add(variable.grad, value);
    }
  });
};

let hinted = false;

/** Said once with GRAFT_DEBUG=1: the values between are not kept, so a loss that was read before the step costs the forward pass twice. */
function hintReadBefore(): void {
  if (hinted) return;
  hinted = true;
  process.stderr.write("graft: hint: a value was read before backward(), so the step computes its forward pass again. Read it after optimizer.step(), which stores it.\n");
}
