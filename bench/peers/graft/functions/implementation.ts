import type { Tensor } from "graftml";
import type { FunctionOptions } from "../../../functions/declare.js";

/** Of the inputs, in their order. */
export type Forward = (...inputs: Tensor[]) => Tensor;

/** Functions by name, for the options that are declared with them. */
export type Implementations = Readonly<Record<string, (options: FunctionOptions) => Forward>>;
