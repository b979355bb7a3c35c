import { checkOptions, GraftError } from "../../base/index.js";
import type { Tensor } from "../../graph/index.js";
import { F } from "../../ops/index.js";
import type { Json } from "../../io/index.js";
import * as nn from "../../nn/index.js";
import { sequenceLoss, tokenLoss, type ProblemType } from "./loss.js";
import type { TextConfig, TextInputs, TextOutput } from "./types.js";

const known = ["attentionMask", "positionIds", "tokenTypeIds", "labels", "labelPositions", "reduction"] as const;

/** What the labels of an encoder are: one per token, or one per sequence. */
type Task = "tokens" | "sequence";

/** An encoder with a head: what BERT and its relatives share. A subclass holds the trunk under its own name. */
export abstract class TextEncoder<C extends TextConfig = TextConfig> extends nn.Module {
  constructor(
    /** What config.json holds, with the defaults filled in. */
    readonly config: C,
    private readonly task: Task,
  ) {
    super();
  }

  /** Token ids [B, T] to hidden states [B, T, C]. */
  protected abstract trunk(inputIds: Tensor, inputs: TextInputs): Tensor;
  /** Hidden states [B, T, C] to logits. */
  protected abstract head(hidden: Tensor): Tensor;

  /** Logits, and with labels the loss: mean cross entropy, or what the config's `problem_type` says. */
  forward(inputIds: Tensor, inputs: TextInputs = {}): TextOutput {
    const name = this.constructor.name;
    checkOptions(name, inputs, known);
    if (inputIds.ndim !== 2) throw new GraftError("shape", `${name}: inputIds have ${inputIds.ndim} dim(s). Pass token ids [B, T], also for one sequence: [1, T].`);
    const { labels, labelPositions, reduction } = inputs;
    if (labelPositions !== undefined && this.task !== "tokens") throw new GraftError("argument", `${name}: labelPositions are for heads that look at every token. Leave them out.`);
    const hidden = this.trunk(inputIds, inputs);
    const logits = this.head(labelPositions === undefined ? hidden : rowsAt(hidden, labelPositions));
    if (labels === undefined) return { logits, hidden };
    const loss = this.task === "tokens" ? tokenLoss(name, logits, labels, reduction) : sequenceLoss(name, logits, labels, (this.config.problem_type ?? null) as ProblemType | null, reduction);
    return { logits, hidden, loss };
  }
}

/** The hidden states [1, n, C] of some tokens, by their number in B x T. */
function rowsAt(hidden: Tensor, positions: Tensor): Tensor {
  const [B, T, C] = hidden.shape;
  return F.reshape(F.indexSelect(F.reshape(hidden, [B * T, C]), 0, positions), [1, positions.size, C]);
}

/**
 * The number of classes of a config: of `id2label`, or `num_labels`, or 2 as in Transformers.
 */
export function classCount({ id2label, num_labels: count }: { readonly [key: string]: Json }): number {
  if (typeof id2label === "object" && id2label !== null && !Array.isArray(id2label)) return Object.keys(id2label).length;
  return typeof count === "number" ? count : 2;
}

/** The config with names for its classes (LABEL_0, ... where there are none), which is how Transformers keeps their number. Throws `config`. */
export function withLabels<C extends { readonly [key: string]: Json }>(name: string, config: C): C {
  const count = classCount(config);
  if (!Number.isInteger(count) || count < 1) throw new GraftError("config", `${name} config: num_labels is ${count}. Use a whole number of 1 or more.`);
  if (typeof config.id2label === "object" && config.id2label !== null) return config;
  const names = Array.from({ length: count }, (_, i) => `LABEL_${i}`);
  return { ...config, id2label: Object.fromEntries(names.map((label, i) => [i, label])), label2id: Object.fromEntries(names.map((label, i) => [label, i])) };
}
