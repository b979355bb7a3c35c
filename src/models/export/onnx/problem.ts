import { GraftError } from "../../../base/index.js";

/** What is not written: the op with its module, and why. */
export const cannotWrite = (op: string, path: string, why: string): GraftError => new GraftError("config", `exportOnnx: ${op}${path === "" ? "" : ` in ${path}`}: ${why}.`);
