import { allocate, bytesPerElement, dtypeCode } from "../../graph/index.js";
import type { Backend } from "../backend.js";
import { collectGarbage } from "../collect.js";
import { kernelBackend } from "../kernels.js";
import type { NativeAddon } from "./addon.js";

export { loadAddon, type NativeAddon } from "./addon.js";

/** Smaller results live on the JavaScript heap: memory of the addon costs more than they are worth. */
const externalFrom = 4096;

/** The C++ kernels through Node-API. */
export const cpuBackend = (addon: NativeAddon): Backend =>
  kernelBackend("cpu", addon, {
    allocate: (dtype, length) => (length * bytesPerElement(dtype) < externalFrom ? allocate(dtype, length) : addon.allocate(dtypeCode(dtype), length, collectGarbage)),
  });
