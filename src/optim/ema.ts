import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { allocate, computeDType, fromData, inScope, noGrad, showShape, sameShape, sizeOf, type DType, type Shape, type Tensor, type TypedArray } from "../graph/index.js";
import { assign, cast, currentTrace, detach, scalarInput } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { lerp } from "./math.js";

/** Options of {@link EMA}. */
export interface EMAOptions {
  /** Share of the old average that stays at each update, in [0, 1). Default: 0.999. */
  readonly decay?: number;
  /** Begins with a smaller decay, min(decay, (1 + t) / (10 + t)) at update t, so that the first weights do not stay in the average of a short run. Default: true. */
  readonly warmup?: boolean;
}

/** What `EMA.stateDict` returns: the averages by parameter name, and how many updates they have seen. */
export interface EMAState {
  readonly tensors: Map<string, Tensor>;
  readonly updates: number;
}

/** A saved average: a tensor's dtype, shape and data. */
interface Saved {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/**
 * Exponential moving average of parameters (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992): a copy that follows the weights slowly and
 * often generalises better than they do. `update` is recorded, and computed in the plan of the optimiser step before it. Averages of bf16 and f16 parameters are f32.
 * Buffers (running statistics) are not averaged.
 *
 * @example
 * const ema = new optim.EMA(model.namedParameters(), { decay: 0.999 });
 * optimizer.record(); // instead of await optimizer.step()
 * ema.update();
 * await realize();
 * const back = await ema.apply(); // the model computes with the averages ...
 * back(); // ... until now
 */
export class EMA {
  readonly decay: number;
  /** Number of updates so far. */
  updates = 0;
  private readonly warmup: boolean;
  private readonly entries: readonly { readonly name: string; readonly param: Tensor; readonly average: Tensor }[];

  constructor(params: Iterable<readonly [string, Tensor]>, options: EMAOptions = {}) {
    checkOptions("EMA", options, ["decay", "warmup"]);
    this.decay = checkNumber("EMA", "decay", options.decay ?? 0.999, { min: 0, max: 1 - Number.EPSILON / 2 });
    this.warmup = options.warmup ?? true;
    this.entries = noGrad(() =>
      [...params].map(([name, param]) => {
        const dtype = computeDType(param.dtype) as DType;
        const average = fromData(allocate(dtype, param.size), param.shape, dtype);
        assign(average, cast(detach(param), dtype)); // e_0 = w_0
        return { name, param, average };
      }),
    );
    if (this.entries.length === 0) throw new GraftError("argument", "EMA: there are no parameters. Pass model.namedParameters().");
  }

  private get share(): number {
    const decay = this.warmup ? Math.min(this.decay, (1 + this.updates) / (10 + this.updates)) : this.decay;
    return 1 - decay;
  }

  /** Records e <- e + (1 - decay) (w - e) for all parameters, with the values w that they have been given by then. */
  update(): void {
    const count = (): void => void this.updates++;
    count();
    currentTrace()?.refresh.push(count);
    const weights = new Map<DType, Tensor>();
    const record = (): void => {
      for (const { param, average } of this.entries) {
        const { dtype } = average;
        if (!weights.has(dtype)) weights.set(dtype, scalarInput(() => this.share, dtype));
        assign(average, lerp(average, cast(detach(param), dtype), weights.get(dtype)!));
      }
    };
    inScope("ema", () => noGrad(record), "update");
  }

  /** Puts the averages in the place of the weights; the function that is returned puts the weights back. Nothing may train in between. */
  async apply(): Promise<() => void> {
    await realize(...this.entries.map(({ param }) => param));
    const averages = this.entries.map(({ param, average }) => (average.dtype === param.dtype ? average : cast(average, param.dtype)));
    await realize(...averages);
    const weights = this.entries.map(({ param }) => param.node.value);
    this.entries.forEach(({ param }, i) => (param.node.value = averages[i].node.value));
    return () => this.entries.forEach(({ param }, i) => (param.node.value = weights[i]));
  }

  /** Gives the parameters the averages as their values. */
  async copyTo(): Promise<void> {
    noGrad(() => this.entries.forEach(({ param, average }) => assign(param, cast(average, param.dtype))));
    await realize();
  }

  /** The averages (the live ones) and the number of updates. */
  stateDict(): EMAState {
    return { tensors: new Map(this.entries.map(({ name, average }) => [name, average])), updates: this.updates };
  }

  /** Restores what `stateDict` returned, also as host data from a file. Throws `state` with all problems, before anything is changed. */
  loadStateDict({ tensors, updates }: { readonly tensors: ReadonlyMap<string, Tensor | Saved>; readonly updates: number }): void {
    const problems: string[] = [];
    for (const { name, average } of this.entries) {
      const saved = tensors.get(name);
      if (saved === undefined) problems.push(`there is no average of ${name}`);
      else if (!sameShape(saved.shape, average.shape)) problems.push(`${name} is ${showShape(saved.shape)}, the model has ${showShape(average.shape)}`);
    }
    if (problems.length > 0) throw new GraftError("state", `EMA.loadStateDict: the averages do not fit:\n  ${problems.join("\n  ")}\nLoad those of the same model.`);
    this.updates = updates;
    noGrad(() => {
      for (const { name, average } of this.entries) {
        const saved = tensors.get(name)!;
        assign(average, "node" in saved ? detach(saved) : fromData(saved.data.slice(0, sizeOf(saved.shape)), saved.shape, saved.dtype));
      }
    });
  }
}
