import { allocate, bytesPerElement, viewBytes } from "../../graph/index.js";
import type { Backend } from "../backend.js";
import { kernelBackend } from "../kernels.js";
import type { NativeAddon } from "./addon.js";

export { loadAddon, type NativeAddon } from "./addon.js";

/** Smaller results live on the JavaScript heap: an external buffer costs more than they are worth. */
const externalFrom = 4096;

/** The C++ kernels through Node-API. */
export const cpuBackend = (addon: NativeAddon): Backend =>
  kernelBackend("cpu", addon, {
    allocate(dtype, length) {
      const bytes = length * bytesPerElement(dtype);
      return bytes < externalFrom ? allocate(dtype, length) : viewBytes(dtype, addon.allocate(bytes), 0, length);
    },
  });
