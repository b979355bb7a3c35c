import { GraftError } from "../../base/index.js";
import type { Json } from "../../io/index.js";

/**
 * The sliding window of each layer: by the config's `layer_types` where it has them, else by `slides`. Throws `config` for a kind of layer that is unknown.
 */
export function windowsOf(name: string, layers: number, window: number | null, layerTypes: readonly Json[] | null, slides: (layer: number) => boolean): (number | undefined)[] {
  const unknown = layerTypes?.find((type) => type !== "sliding_attention" && type !== "full_attention");
  if (unknown !== undefined) throw new GraftError("config", `${name} config: layer_types holds ${JSON.stringify(unknown)}. Known are "full_attention" and "sliding_attention".`);
  if (layerTypes !== null && layerTypes.length !== layers) throw new GraftError("config", `${name} config: layer_types has ${layerTypes.length} entries for ${layers} layers. Give one per layer.`);
  return Array.from({ length: layers }, (_, i) => ((layerTypes === null ? slides(i) : layerTypes[i] === "sliding_attention") ? (window ?? undefined) : undefined));
}
