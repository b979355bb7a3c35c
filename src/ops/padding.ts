import { checkOptions, didYouMean, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { cat, padConstant } from "./join.js";
import { expand, flip, slice } from "./movement.js";
import { asTensor } from "./operand.js";

const modes = ["constant", "reflect", "replicate", "circular"] as const;

/** Options of {@link pad}. */
export interface PadOptions {
  /** `constant` (default), `reflect` (without repeating the edge), `replicate` (the edge) or `circular`. */
  readonly mode?: (typeof modes)[number];
  /** What `constant` pads with; 0 by default. */
  readonly value?: number;
}

/** The pieces of `x` that go before and after it along `dim`; views, so that nothing is copied twice. */
function border(x: Tensor, dim: number, low: number, high: number, mode: PadOptions["mode"]): [Tensor[], Tensor[]] {
  const n = x.shape[dim];
  const stretched = (at: number, size: number): Tensor => expand(slice(x, dim, at, 1), x.shape.map((m, d) => (d === dim ? size : m)));
  const piece = (size: number, make: () => Tensor): Tensor[] => (size === 0 ? [] : [make()]);
  switch (mode) {
    case "reflect":
      return [piece(low, () => flip(slice(x, dim, 1, low), [dim])), piece(high, () => flip(slice(x, dim, n - 1 - high, high), [dim]))];
    case "circular":
      return [piece(low, () => slice(x, dim, n - low, low)), piece(high, () => slice(x, dim, 0, high))];
    default:
      return [piece(low, () => stretched(0, low)), piece(high, () => stretched(n - 1, high))];
  }
}

/**
 * Pads dims from the last backwards: `pads` is [low, high] of the last dim, then of the one before, and so on. Negative pads cut off.
 * @throws GraftError `argument` when `reflect` needs more than the dim has (size - 1), or `circular` more than its size.
 * @example pad(x, [1, 1, 2, 0]); // [H, W] -> [H + 2, W + 2]
 */
export function pad(x: Tensor, pads: readonly number[], options: PadOptions = {}): Tensor {
  checkOptions("pad", options, ["mode", "value"]);
  const mode = options.mode ?? "constant";
  if (!modes.includes(mode)) throw new GraftError("argument", `pad: unknown mode "${String(mode)}".${didYouMean(String(mode), modes)} Use one of ${modes.join(", ")}.`);
  if (pads.length % 2 !== 0 || pads.length > 2 * asTensor("pad", "x", x).ndim || !pads.every(Number.isInteger)) {
    throw new GraftError("argument", `pad: pads are ${showShape(pads)}, x is ${showShape(x.shape)}. Give whole numbers [low, high] for at most ${x.ndim} dims, last dim first.`);
  }
  const pairs = x.shape.map((_, d): readonly [number, number] => {
    const at = 2 * (x.ndim - 1 - d);
    return at < pads.length ? [pads[at], pads[at + 1]] : [0, 0];
  });
  const inner = pairs.reduce((y, [low, high], d) => {
    const [from, to] = [Math.max(0, -low), y.shape[d] - Math.max(0, -high)];
    if (from > to) throw new GraftError("argument", `pad: ${low} and ${high} cut off more than dim ${d} of ${showShape(x.shape)} holds.`);
    return slice(y, d, Math.min(from, Math.max(0, y.shape[d] - 1)), to - from);
  }, x);
  if (mode === "constant") return padConstant(inner, pairs.flatMap(([low, high]) => [Math.max(0, low), Math.max(0, high)]), options.value ?? 0);
  return pairs.reduce((y, [low, high], d) => {
    const [a, b] = [Math.max(0, low), Math.max(0, high)];
    if (a === 0 && b === 0) return y;
    const most = mode === "reflect" ? y.shape[d] - 1 : mode === "circular" ? y.shape[d] : y.shape[d] === 0 ? 0 : Infinity;
    if (Math.max(a, b) > most) throw new GraftError("argument", `pad: mode "${mode}" can add at most ${most} to dim ${d} of ${showShape(x.shape)}, not ${Math.max(a, b)}. Pad less, or use another mode.`);
    const [before, after] = border(y, d, a, b, mode);
    return cat([...before, y, ...after], d);
  }, inner);
}
