import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { BertModel, bertFields, readBertConfig, type BertConfig } from "./text/bert-trunk.js";
import { classCount, TextEncoder, withLabels } from "./text/encoder.js";
import type { Family } from "./text/family.js";
import { nullable } from "./text/fields.js";
import { initializeWeights } from "./text/initialize.js";
import type { TextInputs } from "./text/types.js";

const defaults = { ...bertFields, vocab_size: 50265, pad_token_id: nullable("number", 1) };

/** The keys of a RoBERTa config that are read: BERT's. */
export type RobertaConfig = BertConfig;

const read = (given: JsonObject): RobertaConfig => readBertConfig("RoBERTa", { model_type: "roberta", ...given }, defaults);

class RobertaLMHead extends nn.Module {
  bias: nn.Parameter;
  dense: nn.Linear;
  layer_norm: nn.LayerNorm;
  decoder: nn.Linear;

  constructor({ hidden_size: C, vocab_size, layer_norm_eps: eps }: RobertaConfig) {
    super();
    this.dense = new nn.Linear(C, C);
    this.layer_norm = new nn.LayerNorm(C, { eps });
    this.decoder = new nn.Linear(C, vocab_size);
    this.bias = this.decoder.bias!;
  }

  forward(hidden: Tensor): Tensor {
    return this.decoder.forward(this.layer_norm.forward(F.gelu(this.dense.forward(hidden))));
  }
}

class RobertaClassificationHead extends nn.Module {
  dense: nn.Linear;
  dropout: nn.Dropout;
  out_proj: nn.Linear;

  constructor(config: RobertaConfig) {
    super();
    const C = config.hidden_size;
    this.dense = new nn.Linear(C, C);
    this.dropout = new nn.Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.out_proj = new nn.Linear(C, classCount(config));
  }

  forward(hidden: Tensor): Tensor {
    const first = this.dropout.forward(F.select(hidden, 1, 0)); // the token <s>
    return this.out_proj.forward(this.dropout.forward(F.tanh(this.dense.forward(first))));
  }
}

/**
 * RoBERTa that fills in masked words (Liu et al., "RoBERTa", 2019): BERT whose positions leave padding out. Logits [B, T, V].
 * @example
 * const model = new RobertaForMaskedLM({ hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 128, vocab_size: 1000 });
 */
export class RobertaForMaskedLM extends TextEncoder<RobertaConfig> {
  roberta: BertModel;
  lm_head: RobertaLMHead;

  constructor(given: JsonObject) {
    const config = read(given);
    super(config, "tokens");
    this.roberta = new BertModel(config, { padded: true });
    this.lm_head = new RobertaLMHead(config);
    initializeWeights(this, config.initializer_range);
    if (config.tie_word_embeddings) this.lm_head.decoder.weight = this.roberta.embeddings.word_embeddings.weight;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.roberta.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.lm_head.forward(hidden);
  }
}

/** RoBERTa that classifies whole sequences by their first token: logits [B, classes]. */
export class RobertaForSequenceClassification extends TextEncoder<RobertaConfig> {
  roberta: BertModel;
  classifier: RobertaClassificationHead;

  constructor(given: JsonObject) {
    const config = withLabels("RoBERTa", read(given));
    super(config, "sequence");
    this.roberta = new BertModel(config, { padded: true });
    this.classifier = new RobertaClassificationHead(config);
    initializeWeights(this, config.initializer_range);
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.roberta.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.classifier.forward(hidden);
  }
}

/** RoBERTa that classifies every token: logits [B, T, classes]. */
export class RobertaForTokenClassification extends TextEncoder<RobertaConfig> {
  roberta: BertModel;
  dropout: nn.Dropout;
  classifier: nn.Linear;

  constructor(given: JsonObject) {
    const config = withLabels("RoBERTa", read(given));
    super(config, "tokens");
    this.roberta = new BertModel(config, { padded: true });
    this.dropout = new nn.Dropout(config.classifier_dropout ?? config.hidden_dropout_prob);
    this.classifier = new nn.Linear(config.hidden_size, classCount(config));
    initializeWeights(this, config.initializer_range);
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.roberta.forward(inputIds, inputs);
  }
  protected head(hidden: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(hidden));
  }
}

export const roberta: Family = {
  models: { RobertaForMaskedLM, RobertaForSequenceClassification, RobertaForTokenClassification },
  trunk: "roberta",
  ignored: [/position_ids$/, /(^|\.)pooler\./],
};
