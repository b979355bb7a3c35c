import { checkNumber, checkOptions } from "../base/index.js";
import { noGrad, type Tensor } from "../graph/index.js";
import { rememberModes, type Module } from "../nn/index.js";
import { argmax, getRandomState, setRandomState } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { objective, samplesIn, type Objective } from "./batch.js";
import { ClassProbabilities } from "./class-probabilities.js";
import { ConfusionMatrix, type ClassScores } from "./confusion.js";
import { locate } from "./errors.js";
import { Meter } from "./meter.js";
import { accuracy, isClassification } from "./metrics.js";
import { evaluationLoader } from "./sources.js";
import type { Batch, BatchStep, DataSource, LossFunction, Metric, Metrics, ProbabilityMetric } from "./types.js";

/** Options of {@link evaluate}. */
export interface EvaluateOptions {
  /** Default: cross entropy where the targets are class labels. */
  readonly loss?: LossFunction;
  /** Computes the cost of a batch itself, instead of `loss`. */
  readonly step?: BatchStep;
  /** Default: accuracy where the targets are class labels. */
  readonly metrics?: Metrics;
  /** Where the data are a data set. Default: 256. */
  readonly batchSize?: number;
  /** Names of the classes, for the confusion matrix. Default: the data set's `classes`, or numbers. */
  readonly classes?: readonly string[];
  /** What the numbers are means over. Default: samples. */
  readonly count?: (batch: Batch) => number;
  /** Ends early; the numbers are then those of the samples so far. */
  readonly signal?: { readonly aborted: boolean };
}

/** What an evaluation found. */
export interface Evaluation {
  readonly samples: number;
  /** Mean over all samples. */
  readonly loss: number;
  /** Share of samples that were right, where targets are class labels. */
  readonly accuracy: number | undefined;
  /** All metrics by name, accuracy included. */
  readonly metrics: { readonly [name: string]: number };
  /** Where targets are class labels [B]. */
  readonly confusion: ConfusionMatrix | undefined;
  /** Precision, recall and F1 of each class. */
  readonly perClass: readonly ClassScores[] | undefined;
  /** Probabilities of all samples, where a metric needed them. */
  readonly probabilities: ClassProbabilities | undefined;
  /** Whether `signal` ended it early. */
  readonly aborted: boolean;
}

/**
 * Measures a model on data: in evaluation mode, without gradients; the model's mode and the random state are as before afterwards.
 *
 * Throws `argument` for empty data, `index` (with value and position) for a label that is no class, and what the model throws.
 * @example
 * const { accuracy, confusion } = await train.evaluate(model, digits.test);
 * console.log(`${accuracy}\n${confusion}`);
 */
export async function evaluate(model: Module, source: DataSource, options: EvaluateOptions = {}): Promise<Evaluation> {
  checkOptions("train.evaluate", options, ["loss", "step", "metrics", "batchSize", "classes", "count", "signal"]);
  const { batchSize = 256, loss, step, metrics, signal } = options;
  checkNumber("train.evaluate", "batchSize", batchSize, { min: 1, whole: true });
  const loader = evaluationLoader("train.evaluate", "the data", source, batchSize);
  const classes = options.classes ?? (source as { classes?: readonly string[] }).classes ?? (loader as { dataset?: { classes?: readonly string[] } }).dataset?.classes;
  const run = new EvaluationRun(model, objective(loss, step), metrics, classes, options.count);
  const restoreModes = rememberModes(model);
  const random = getRandomState();
  const epoch = loader.epoch;
  let batches = 0;
  let aborted = false;
  try {
    model.eval();
    for await (const batch of loader) {
      await run.batch(batch, (error) => locate(error, { op: "train.evaluate", batch, model, loader, epoch, number: batches }));
      batches++;
      if ((aborted = signal?.aborted ?? false)) break;
    }
  } finally {
    restoreModes();
    setRandomState(random);
  }
  return run.result(aborted);
}

const isProbabilityMetric = (metric: Metric): metric is ProbabilityMetric => typeof metric === "object" && "ofProbabilities" in metric;

class EvaluationRun {
  private readonly meter = new Meter();
  private matrix: ConfusionMatrix | undefined;
  private probabilities: ClassProbabilities | undefined;

  constructor(
    private readonly model: Module,
    private readonly cost: Objective,
    private readonly metrics: Metrics | undefined,
    private readonly names: readonly string[] | undefined,
    private readonly counted: (batch: Batch) => number = samplesIn,
  ) {}

  async batch(batch: Batch, explain: (error: unknown) => unknown): Promise<void> {
    try {
      const recorded = noGrad(() => this.record(batch));
      const kept = [recorded.predicted, recorded.scores].filter((tensor) => tensor !== undefined);
      await realize(recorded.loss, ...recorded.numbers.map(([, value]) => value), ...kept);
      const values = Object.fromEntries(recorded.numbers.map(([name, value]) => [name, value.item()]));
      this.meter.add({ loss: recorded.loss.item(), ...values }, this.counted(batch));
      if (recorded.predicted !== undefined) await this.count(recorded.target!, recorded.predicted, recorded.classes);
      if (recorded.scores !== undefined) await this.collect(recorded.target!, recorded.scores);
    } catch (error) {
      throw explain(error);
    }
  }

  private record(batch: Batch) {
    const { loss, output, target } = this.cost(this.model, batch);
    const labels = output !== undefined && target !== undefined && isClassification(output, target);
    const numbers: [string, Tensor][] = [];
    if (output !== undefined && target !== undefined) {
      for (const [name, metric] of Object.entries(this.metrics ?? (labels ? { accuracy } : {}))) {
        if (typeof metric === "function") numbers.push([name, metric(output, target)]);
      }
    }
    const predicted = labels && target!.ndim === 1 ? argmax(output!, { dim: 1 }) : undefined;
    const scores = predicted !== undefined && Object.values(this.metrics ?? {}).some(isProbabilityMetric) ? output : undefined;
    return { loss, numbers, predicted, scores, target, classes: output?.shape[1] ?? 0 };
  }

  private async count(target: Tensor, predicted: Tensor, classes: number): Promise<void> {
    this.matrix ??= new ConfusionMatrix(this.names?.length === classes ? this.names : classes);
    const [targets, found] = [await target.data(), await predicted.data()];
    for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) this.matrix.add(targets[i], found[i]); // a negative label is one that the loss ignores
  }

  private async collect(target: Tensor, scores: Tensor): Promise<void> {
    const [, classes] = scores.shape;
    this.probabilities ??= new ClassProbabilities(classes);
    const [targets, values] = [await target.data(), await scores.data()];
    for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) this.probabilities.addLogits(targets[i], values.subarray(i * classes, (i + 1) * classes));
  }

  result(aborted: boolean): Evaluation {
    const { loss, ...means } = this.meter.means();
    const confusion = this.matrix;
    const metrics: Record<string, number> = { ...means };
    for (const [name, metric] of Object.entries(this.metrics ?? {})) {
      if (typeof metric === "function") continue;
      if (!isProbabilityMetric(metric)) {
        if (confusion !== undefined) metrics[name] = metric.of(confusion);
      } else if (this.probabilities !== undefined) metrics[name] = metric.ofProbabilities(this.probabilities);
    }
    return { samples: this.meter.samples, loss, accuracy: metrics.accuracy ?? confusion?.accuracy, metrics, confusion, perClass: confusion?.perClass, probabilities: this.probabilities, aborted };
  }
}
