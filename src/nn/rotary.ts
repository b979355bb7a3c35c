import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, tensor, type Tensor } from "../graph/index.js";
import { customGradient } from "../autograd/index.js";
import { F } from "../ops/index.js";
import { checkRotaryScaling, fixedFrequencies, frequenciesOfLength, type RotaryScaling } from "./rotary-frequencies.js";

/** Options of {@link RotaryEmbedding}. */
export interface RotaryOptions {
  /** Base of the wavelengths. Default: 10000. */
  readonly theta?: number;
  /** How the frequencies are stretched for long sequences. Default: not at all. */
  readonly scaling?: RotaryScaling;
}

/** Cosines and sines of the angles at each position, [B or 1, 1, T, 2, D/2]: the sine's first half has its sign turned. */
export interface RotaryTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rotary position embedding (Su et al., "RoFormer", 2021) in the form with rotated halves: dims i and i + dim/2 are a pair that is turned by
 * position * theta^(-2i/dim).
 *
 * It has no parameters, so it is not a module: one instance serves all layers.
 * Throws `argument` for an odd dim or a bad scaling.
 * @example
 * const rotary = new nn.RotaryEmbedding(64, { theta: 10000 });
 * const turned = nn.applyRotary(q, rotary.tables(positions)); // q [B, H, T, 64], positions [T]
 */
export class RotaryEmbedding {
  /** Factor of cosines and sines (1 except with YaRN and LongRoPE). */
  readonly attentionFactor: number;
  /** How the frequencies are stretched. */
  readonly scaling: RotaryScaling | undefined;
  private readonly fixed: Tensor;

  constructor(
    /** Number of dims that are rotated. */
    readonly dim: number,
    private readonly options: RotaryOptions = {},
  ) {
    checkOptions("RotaryEmbedding", options, ["theta", "scaling"]);
    if (checkNumber("RotaryEmbedding", "dim", dim, { min: 2, whole: true }) % 2 !== 0) throw new GraftError("argument", `RotaryEmbedding: dim is ${dim}. Pairs of dims are rotated, so it must be even.`);
    checkNumber("RotaryEmbedding", "theta", options.theta ?? 10000, { above: 0 });
    const { scaling } = options;
    this.scaling = scaling;
    if (scaling !== undefined) checkRotaryScaling(dim, scaling);
    this.attentionFactor = scaling !== undefined && "attentionFactor" in scaling ? scaling.attentionFactor : 1;
    this.fixed = tensor(fixedFrequencies(dim, options.theta ?? 10000, scaling));
  }

  /** Tables for positions [T] or [B, T]. */
  tables(positions: Tensor): RotaryTables {
    const T = positions.shape[positions.ndim - 1];
    const places = F.cast(positions, "f32");
    const { theta = 10000, scaling } = this.options;
    const frequencies = frequenciesOfLength(this.dim, theta, scaling, F.add(F.max(places), 1)) ?? this.fixed;
    const angles = F.mul(F.reshape(places, [-1, 1, T, 1, 1]), frequencies); // [B, 1, T, 1, D/2]
    const scale = (x: Tensor): Tensor => (this.attentionFactor === 1 ? x : F.mul(x, this.attentionFactor));
    return { cos: scale(F.cos(angles)), sin: F.mul(scale(F.sin(angles)), turns()) };
  }
}

/** -1 for the first half of the dims, 1 for the second. */
const turns = (): Tensor => F.reshape(tensor([-1, 1]), [1, 1, 1, 2, 1]);

/** x cos + halves swapped(x) sin; x [B, H, T, 2, D/2]. */
const rotate = (x: Tensor, cos: Tensor, sin: Tensor): Tensor => F.add(F.mul(x, cos), F.mul(F.flip(x, [-2]), sin));

// y = R x with a rotation R, so dx = R^T dy, which turns the other way.
const rotation = customGradient(rotate, ({ inputs: [, cos, sin], grad }) => [rotate(grad, cos, F.neg(sin)), null, null]);

/**
 * Turns the first dims of queries or keys [B, H, T, E] by their positions' angles; the dims behind the rotated ones stay as they are.
 * Throws `shape` when E is smaller than the number of rotated dims.
 */
export function applyRotary(x: Tensor, { cos, sin }: RotaryTables): Tensor {
  const half = cos.shape[4];
  const E = x.shape[x.ndim - 1];
  if (x.ndim !== 4 || E < 2 * half) throw new GraftError("shape", `applyRotary: x is ${showShape(x.shape)}, the tables rotate ${2 * half} dims. x must be [B, H, T, E] with E of ${2 * half} or more.`);
  const rotated = E === 2 * half ? x : F.narrow(x, -1, 0, 2 * half);
  const y = F.reshape(rotation(F.reshape(rotated, [...x.shape.slice(0, 3), 2, half]), cos, sin), rotated.shape);
  return E === 2 * half ? y : F.cat([y, F.narrow(x, -1, 2 * half, E - 2 * half)], -1);
}
