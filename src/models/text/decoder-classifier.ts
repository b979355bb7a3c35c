import { checkOptions, GraftError } from "../../base/index.js";
import { isFloat, showShape, type Tensor } from "../../graph/index.js";
import { F, iota } from "../../ops/index.js";
import * as nn from "../../nn/index.js";
import type { DecoderForCausalLM, DecoderModel } from "./decoder.js";
import { classCount, withLabels } from "./encoder.js";
import { initializeWeights } from "./initialize.js";
import { sequenceLoss, type ProblemType } from "./loss.js";
import type { TextConfig, TextInputs, TextOutput } from "./types.js";

const known = ["attentionMask", "positionIds", "labels", "reduction"] as const;

/**
 * A decoder that classifies whole sequences by the hidden state of their last token, which has seen all others: logits [B, classes]. A subclass holds the trunk under its own name.
 *
 * The last token is the last one that neither the mask nor the config's `pad_token_id` says is padding.
 */
export abstract class SequenceClassifier<C extends TextConfig = TextConfig> extends nn.Module {
  readonly config: C;
  score: nn.Linear;

  constructor(name: string, given: C, size: number, std: number) {
    super();
    this.config = withLabels(name, given);
    this.score = new nn.Linear(size, classCount(this.config), { bias: false });
    initializeWeights(this, std);
  }

  /** Token ids [B, T] to hidden states [B, T, C]. */
  protected abstract trunk(inputIds: Tensor, inputs: TextInputs): Tensor;

  /** Logits, and with labels the loss: mean cross entropy, or what the config's `problem_type` says. */
  forward(inputIds: Tensor, inputs: TextInputs = {}): TextOutput {
    const name = this.constructor.name;
    checkOptions(name, inputs, known);
    if (inputIds.ndim !== 2 || isFloat(inputIds.dtype)) throw new GraftError("shape", `${name}: inputIds are ${inputIds.dtype} ${showShape(inputIds.shape)}. Pass token ids [B, T], whole numbers, also for one sequence: [1, T].`);
    const { labels, reduction } = inputs;
    const hidden = this.trunk(inputIds, inputs);
    const logits = this.score.forward(this.lastOf(hidden, inputIds, inputs));
    if (labels === undefined) return { logits, hidden };
    return { logits, hidden, loss: sequenceLoss(name, logits, labels, (this.config.problem_type ?? null) as ProblemType | null, reduction) };
  }

  /** The hidden state [B, C] of each row's last token. */
  private lastOf(hidden: Tensor, inputIds: Tensor, { attentionMask: mask }: TextInputs): Tensor {
    const [B, T, C] = hidden.shape;
    const pad = this.config.pad_token_id;
    if (mask !== undefined && mask.shape.join() !== inputIds.shape.join()) throw new GraftError("shape", `${this.constructor.name}: attentionMask is ${showShape(mask.shape)}, inputIds are ${showShape(inputIds.shape)}. Give one value per token.`);
    if (mask === undefined && typeof pad !== "number") return F.reshape(F.narrow(hidden, 1, T - 1, 1), [B, C]);
    let place: Tensor = iota([B, T], 1);
    if (mask !== undefined) place = F.where(F.ne(mask, 0), place, 0);
    if (typeof pad === "number") place = F.where(F.ne(inputIds, pad), place, 0);
    const last = F.add(F.argmax(place, { dim: 1 }), iota([B], 0, 0, T)); // among all B * T
    return F.indexSelect(F.reshape(hidden, [B * T, C]), 0, last);
  }
}

/** A classifier on the trunk of a decoder in the manner of Llama, whose head over the vocabulary is left out. */
export abstract class DecoderForSequenceClassification<C extends TextConfig = TextConfig> extends SequenceClassifier<C> {
  model: DecoderModel;

  constructor(name: string, causal: DecoderForCausalLM<C>) {
    const { hidden_size: size, initializer_range: std } = causal.config;
    super(name, causal.config, size as number, std as number);
    this.model = causal.model;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.model.forward(inputIds, inputs);
  }
}
