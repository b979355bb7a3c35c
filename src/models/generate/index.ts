export { beamSearch, type BeamOptions, type BeamResult } from "./beam.js";
export { generate, stream, type FinishReason, type Generation, type ScoredToken, type StreamedToken } from "./generate.js";
export { type SamplingOptions } from "./logits.js";
export { type GenerateOptions, type Prompts } from "./options.js";
