import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import * as nn from "../nn/index.js";

/** Neighbouring parameters of a model that are treated alike. */
export interface ModelLayer {
  /** What the layer is: the path of a block, or "below" and "above" for what comes before and after the blocks. */
  readonly name: string;
  readonly parameters: ReadonlyMap<string, nn.Parameter>;
}

const isList = (module: nn.Module): boolean => module instanceof nn.ModuleList || module instanceof nn.Sequential;
const count = (module: nn.Module): number => module.parameters().reduce((sum, { size }) => sum + size, 0);

/**
 * The layers of a model from input to output: its blocks (the children of the `ModuleList` or `Sequential` that holds most parameters), before them what is registered earlier
 * (embeddings), after them what is registered later (last norm, head). A model without such a list is cut at its direct children. A shared parameter counts where it is first.
 */
export function layersOf(model: nn.Module): ModelLayer[] {
  const lists = [...model.namedModules()].filter(([, module]) => isList(module) && [...module.children().values()].filter((child) => count(child) > 0).length > 1);
  const [path, blocks] = lists.reduce<readonly [string, nn.Module]>((best, entry) => (best[1] === model || count(entry[1]) > count(best[1]) ? entry : best), ["", model]);
  const names = [...blocks.children().keys()].map((name) => (path === "" ? name : `${path}.${name}`));
  const layers = new Map<string, Map<string, nn.Parameter>>([["below", new Map()], ...names.map((name): [string, Map<string, nn.Parameter>] => [name, new Map()]), ["above", new Map()]]);
  let passed = false;
  for (const [name, parameter] of model.namedParameters()) {
    const block = names.find((start) => name.startsWith(`${start}.`));
    passed ||= block !== undefined;
    layers.get(block ?? (passed ? "above" : "below"))!.set(name, parameter);
  }
  return [...layers].filter(([, parameters]) => parameters.size > 0).map(([name, parameters]) => ({ name, parameters }));
}

/** Options of {@link layerwiseGroups}. */
export interface LayerwiseOptions {
  /** Learning rate of the last layer. */
  readonly lr: number;
  /** Factor from a layer to the one below it. Default: 1 / 2.6 (Howard and Ruder, 2018). */
  readonly decay?: number;
  /** Weight decay of matrices; biases and norms (one dimension) then have none. Default: the optimiser's, for all. */
  readonly weightDecay?: number;
}

/** A group of parameters as optimisers take it. */
export interface LayerwiseGroup {
  readonly params: readonly (readonly [string, nn.Parameter])[];
  readonly lr: number;
  readonly weightDecay?: number;
}

/**
 * Parameter groups whose learning rate falls from the output to the input, lr * decay^depth, so that general features change less than special ones (discriminative fine-tuning: Howard and Ruder,
 * "Universal language model fine-tuning", 2018). Frozen parameters are in their groups too and wait there.
 * @example
 * const optimizer = new optim.AdamW(tune.layerwiseGroups(model, { lr: 2e-4, decay: 0.8 }));
 */
export function layerwiseGroups(model: nn.Module, options: LayerwiseOptions): LayerwiseGroup[] {
  checkOptions("layerwiseGroups", options, ["lr", "decay", "weightDecay"]);
  const { lr, decay = 1 / 2.6, weightDecay } = options;
  checkNumber("layerwiseGroups", "lr", lr, { min: 0 });
  checkNumber("layerwiseGroups", "decay", decay, { above: 0, max: 1 });
  if (weightDecay !== undefined) checkNumber("layerwiseGroups", "weightDecay", weightDecay, { min: 0 });
  const layers = layersOf(model);
  return layers.flatMap(({ parameters }, i): LayerwiseGroup[] => {
    const rate = lr * decay ** (layers.length - 1 - i);
    const all = [...parameters];
    if (weightDecay === undefined) return [{ params: all, lr: rate }];
    const groups = [
      { params: all.filter(([, { ndim }]) => ndim > 1), lr: rate, weightDecay },
      { params: all.filter(([, { ndim }]) => ndim <= 1), lr: rate, weightDecay: 0 },
    ];
    return groups.filter(({ params }) => params.length > 0);
  });
}

/** Options of {@link gradualUnfreezing}. */
export interface GradualOptions {
  /** Layers that join at each stage. Default: 1. */
  readonly layersPerStage?: number;
  /** Epochs (or whatever `update` counts) per stage. Default: 1. */
  readonly every?: number;
}

/** A plan that lets a model learn from its last layer downwards. Pass it to `fit` as `callbacks`. */
export class GradualUnfreezing {
  /** Layers in the order in which they join, by stage. */
  readonly stages: readonly (readonly ModelLayer[])[];
  /** Stage that is reached, from 1. */
  stage = 0;

  constructor(model: nn.Module, options: GradualOptions = {}) {
    checkOptions("gradualUnfreezing", options, ["layersPerStage", "every"]);
    const perStage = checkNumber("gradualUnfreezing", "layersPerStage", options.layersPerStage ?? 1, { min: 1, whole: true });
    this.every = checkNumber("gradualUnfreezing", "every", options.every ?? 1, { min: 1, whole: true });
    const learning = layersOf(model)
      .map(({ name, parameters }) => ({ name, parameters: new Map([...parameters].filter(([, parameter]) => parameter.requiresGrad)) }))
      .filter(({ parameters }) => parameters.size > 0)
      .reverse();
    if (learning.length === 0) throw new GraftError("argument", "gradualUnfreezing: all parameters are frozen. Call tune.full first.");
    this.stages = Array.from({ length: Math.ceil(learning.length / perStage) }, (_, i) => learning.slice(i * perStage, (i + 1) * perStage));
    this.set(1);
  }
  private readonly every: number;

  /** Lets the layers of the first `stage` stages learn, and no others. Returns the names of those that changed. */
  set(stage: number): string[] {
    this.stage = Math.max(1, Math.min(stage, this.stages.length));
    const changed: string[] = [];
    this.stages.forEach((layers, i) => {
      for (const { name, parameters } of layers) {
        const on = i < this.stage;
        if ([...parameters.values()].some(({ requiresGrad }) => requiresGrad !== on)) changed.push(name);
        for (const parameter of parameters.values()) {
          parameter.requiresGrad = on;
          if (!on) parameter.grad = null; // an old gradient would be applied again at every step
        }
      }
    });
    return changed;
  }

  /** Goes to the stage of an epoch (from 1, or of any other count). Returns the names of layers that changed. */
  update(epoch: number): string[] {
    return this.set(1 + Math.floor((epoch - 1) / this.every));
  }

  /** What `fit` calls. */
  onEpochStart = ({ epoch }: { readonly epoch: number }): void => void this.update(epoch);
}

/**
 * Gradual unfreezing (Howard and Ruder, 2018): at first only the last layer learns, then one more joins at every epoch. Only parameters that learn now take part, so call it after
 * `tune.full` or `freeze`.
 * @example
 * const plan = tune.gradualUnfreezing(model);
 * await train.fit(model, { train: data, callbacks: plan, optimizer: new optim.AdamW(tune.layerwiseGroups(model, { lr: 1e-3 })) });
 */
export const gradualUnfreezing = (model: nn.Module, options: GradualOptions = {}): GradualUnfreezing => new GradualUnfreezing(model, options);
