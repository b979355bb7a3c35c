import { algebra } from "./functions/algebra.js";
import { convolutions } from "./functions/convolutions.js";
import { creation } from "./functions/creation.js";
import { describe, type FunctionDeclaration } from "./functions/declare.js";
import { elementwise } from "./functions/elementwise.js";
import { indexing } from "./functions/indexing.js";
import { layers } from "./functions/layers.js";
import { losses } from "./functions/losses.js";
import { norms } from "./functions/norms.js";
import { optimizers } from "./functions/optimizers.js";
import { pooling } from "./functions/pooling.js";
import { reductions } from "./functions/reductions.js";
import { shapes } from "./functions/shapes.js";
import type { Workload } from "./workloads.js";

const declarations: readonly FunctionDeclaration[] = [
  ...elementwise, ...reductions, ...shapes, ...indexing, ...convolutions, ...pooling, ...norms, ...losses, ...algebra, ...layers, ...creation, ...optimizers,
];

/** The forward pass alone, without recording for gradients; where there is a gradient, the forward pass with the gradients of all inputs as well. */
function workloadsOf(declaration: FunctionDeclaration): Workload[] {
  const { name, call = name, inputs, options = {}, gradient = true } = declaration;
  const workload = (grad: boolean): Workload => ({
    name: `fn_${name}${grad ? "_grad" : ""}`,
    group: "functions",
    what: describe(declaration),
    function: { call, inputs, options, grad },
  });
  return gradient ? [workload(false), workload(true)] : [workload(false)];
}

/** Single functions, many of them on small inputs; only timed beside each other. */
export const functions: readonly Workload[] = declarations.flatMap(workloadsOf);
