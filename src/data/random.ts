import { GraftError } from "../base/index.js";
import { philox } from "../ops/index.js";

/** What a stream of random numbers is for: streams of one seed that serve different purposes never share a number. */
const purposes = { sample: 1, batch: 2, order: 3, split: 4, user: 5 } as const;

/** Where a {@link Random} stream starts, besides its seed. */
export interface RandomStream {
  readonly purpose?: keyof typeof purposes;
  /** Whole numbers from 0 to 2^32 - 1. */
  readonly epoch?: number;
  readonly index?: number;
}

/**
 * A stream of random numbers that is fully described by (seed, purpose, epoch, index): what augments sample 17 in epoch 3 does not depend on what
 * was drawn before, so a resumed run, a worker thread and a run in another order all see the same numbers.
 *
 * The numbers are those of Philox 4x32-10 with the seed as its key and (position, index, epoch, purpose) as its counter.
 * Throws `argument` for a seed that is not a whole number from 0 to 2^53 - 1.
 *
 * @example
 * const random = new Random(7, { epoch: 3, index: 17 });
 * random.uniform(-1, 1);
 */
export class Random {
  private readonly key: readonly [number, number];
  private readonly stream: readonly [number, number, number];
  private block = 0;
  private words: readonly number[] = [];
  private used = 4;
  private spare: number | undefined;

  constructor(
    readonly seed: number,
    { purpose = "user", epoch = 0, index = 0 }: RandomStream = {},
  ) {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new GraftError("argument", `Random: seed ${seed} is not a whole number from 0 to 2^53 - 1.`);
    this.key = [seed >>> 0, Math.floor(seed / 4294967296)];
    this.stream = [index >>> 0, epoch >>> 0, purposes[purpose]];
  }

  /** 32 random bits, as a number from 0 to 2^32 - 1. */
  bits(): number {
    if (this.used === 4) {
      this.words = philox([this.block++, ...this.stream], this.key);
      this.used = 0;
    }
    return this.words[this.used++];
  }

  /** A number from [low, high); [0, 1) by default. */
  uniform(low = 0, high = 1): number {
    return low + ((high - low) * this.bits()) / 4294967296;
  }

  /** A whole number from 0 to `count - 1`. */
  integer(count: number): number {
    return Math.floor((this.bits() / 4294967296) * count);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.uniform() < p;
  }

  /** A normal number (Box and Muller 1958); every second call uses the pair's other half. */
  normal(mean = 0, std = 1): number {
    let z = this.spare;
    this.spare = undefined;
    if (z === undefined) {
      const radius = Math.sqrt(-2 * Math.log((this.bits() + 1) / 4294967296)); // + 1: never log(0)
      const angle = 2 * Math.PI * this.uniform();
      z = radius * Math.cos(angle);
      this.spare = radius * Math.sin(angle);
    }
    return mean + std * z;
  }

  /** A number from the gamma distribution with scale 1 (Marsaglia and Tsang 2000). */
  gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * Math.max(this.uniform(), 2 ** -33) ** (1 / shape);
    const d = shape - 1 / 3;
    for (;;) {
      const z = this.normal();
      const v = (1 + z / Math.sqrt(9 * d)) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * z * z + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /** A number in [0, 1] from the beta distribution. */
  beta(a: number, b: number): number {
    const x = this.gamma(a);
    const sum = x + this.gamma(b);
    return sum === 0 ? Number(this.chance(0.5)) : x / sum; // both underflow only for tiny a and b, where beta is a coin toss
  }

  /** The numbers 0 to `count - 1` in random order (Fisher and Yates). */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
