import type { TextModel } from "./types.js";

/**
 * The longest sequence, in tokens, that a text model was made for; undefined where its config does not say.
 * @example
 * models.contextLength(await models.load("models/stories260k")); // 512
 */
export function contextLength(model: TextModel): number | undefined {
  const { maxPositions } = model as { readonly maxPositions?: number };
  if (maxPositions !== undefined) return maxPositions;
  const { max_position_embeddings: positions, pad_token_id: padding, model_type: type } = model.config;
  if (typeof positions !== "number") return undefined;
  return type === "roberta" ? positions - (typeof padding === "number" ? padding : 0) - 1 : positions; // RoBERTa counts from behind the padding id
}
