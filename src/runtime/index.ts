import "./methods.js";
export { tolerance } from "./compare.js";
export { currentBackend, hasNative, useBackend } from "./device.js";
export { planBytes, planCounters } from "./plans.js";
export { realize, realizeSync } from "./realize.js";
