import type { Tensor } from "../graph/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { activationOf } from "./text/activation.js";
import { BertModel, bertFields, readBertConfig, type BertConfig } from "./text/bert-trunk.js";
import { classCount, TextEncoder, withLabels } from "./text/encoder.js";
import type { Family } from "./text/family.js";
import { initializeWeights } from "./text/initialize.js";
import type { TextInputs } from "./text/types.js";

export type { BertConfig };

const read = (given: JsonObject): BertConfig => readBertConfig("BERT", { model_type: "bert", ...given }, bertFields);

class BertTransform extends nn.Module {
  dense: nn.Linear;
  LayerNorm: nn.LayerNorm;
  private readonly activation: (x: Tensor) => Tensor;

  constructor({ hidden_size: C, layer_norm_eps: eps, hidden_act }: BertConfig) {
    super();
    this.dense = new nn.Linear(C, C);
    this.LayerNorm = new nn.LayerNorm(C, { eps });
    this.activation = activationOf("BERT", "hidden_act", hidden_act);
  }

  forward(x: Tensor): Tensor {
    return this.LayerNorm.forward(this.activation(this.dense.forward(x)));
  }
}

/** Scores of every word at each position; the projection's weight is the table of words, its bias is `bias`. */
class BertPredictions extends nn.Module {
  bias: nn.Parameter;
  transform: BertTransform;
  decoder: nn.Linear;

  constructor(config: BertConfig) {
    super();
    this.transform = new BertTransform(config);
    this.decoder = new nn.Linear(config.hidden_size, config.vocab_size);
    this.bias = this.decoder.bias!;
  }

  forward(hidden: Tensor): Tensor {
    return this.decoder.forward(this.transform.forward(hidden));
  }
}

class BertHeads extends nn.Module {
  predictions: BertPredictions;

  constructor(config: BertConfig) {
    super();
    this.predictions = new BertPredictions(config);
  }

  forward(hidden: Tensor): Tensor {
    return this.predictions.forward(hidden);
  }
}

/**
 * BERT that fills in masked words (Devlin et al., "BERT", 2019): logits [B, T, V].
 * @example
 * const model = new BertForMaskedLM({ hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 128, vocab_size: 1000 });
 */
export class BertForMaskedLM extends TextEncoder<BertConfig> {
  bert: BertModel;
  cls: BertHeads;

  constructor(given: JsonObject) {
    const config = read(given);
    super(config, "tokens");
    this.bert = new BertModel(config);
    this.cls = new BertHeads(config);
    initializeWeights(this, config.initializer_range);
    if (config.tie_word_embeddings) this.cls.predictions.decoder.weight = this.bert.embeddings.word_embeddings.weight;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.bert.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.cls.forward(hidden);
  }
}

/** BERT that classifies whole sequences by their first token: logits [B, classes]. */
export class BertForSequenceClassification extends TextEncoder<BertConfig> {
  bert: BertModel;
  dropout: nn.Dropout;
  classifier: nn.Linear;

  constructor(given: JsonObject) {
    const config = withLabels("BERT", read(given));
    super(config, "sequence");
    this.bert = new BertModel(config, { pooler: true });
    this.dropout = new nn.Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new nn.Linear(config.hidden_size, classCount(config));
    initializeWeights(this, config.initializer_range);
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.bert.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(this.bert.pooler!.forward(hidden)));
  }
}

/** BERT that classifies every token: logits [B, T, classes]. */
export class BertForTokenClassification extends TextEncoder<BertConfig> {
  bert: BertModel;
  dropout: nn.Dropout;
  classifier: nn.Linear;

  constructor(given: JsonObject) {
    const config = withLabels("BERT", read(given));
    super(config, "tokens");
    this.bert = new BertModel(config);
    this.dropout = new nn.Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new nn.Linear(config.hidden_size, classCount(config));
    initializeWeights(this, config.initializer_range);
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.bert.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(hidden));
  }
}

export const bert: Family = {
  models: { BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification },
  trunk: "bert",
  renames: [
    [/LayerNorm\.gamma$/, "LayerNorm.weight"],
    [/LayerNorm\.beta$/, "LayerNorm.bias"],
  ],
  ignored: [/position_ids$/, /(^|\.)pooler\./, /^cls\.seq_relationship\./],
};
