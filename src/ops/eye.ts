import type { Tensor } from "../graph/index.js";
import { cast, eq } from "./scalar.js";
import { iota, type CreateOptions } from "./source.js";

/** The identity matrix [n, m] (m = n by default): ones on the main diagonal; it takes no memory in a plan. */
export const eye = (n: number, m = n, options: Pick<CreateOptions, "dtype"> = {}): Tensor => cast(eq(iota([n, m], 0), iota([n, m], 1)), options.dtype ?? "f32");
