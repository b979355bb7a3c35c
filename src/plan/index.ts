export { collectNodes } from "./collect.js";
export { compileGraph, type Goal } from "./compile.js";
export { encodePlan, type EncodedPlan } from "./encode.js";
export { printPlan } from "./print.js";
export { hashWords, signature } from "./signature.js";
export { arena, virtual, type Lifetime, type Plan, type PlanStep, type PlanView, type Slot, type SlotKind, type Target } from "./types.js";
