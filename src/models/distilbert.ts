import { GraftError } from "../base/index.js";
import { fromData, type Tensor } from "../graph/index.js";
import { checkpoint } from "../autograd/index.js";
import { F, iota } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { activationOf } from "./text/activation.js";
import { classCount, TextEncoder, withLabels } from "./text/encoder.js";
import type { Family } from "./text/family.js";
import { checkSizes, nullable, readFields, type Fields } from "./text/fields.js";
import { initializeWeights } from "./text/initialize.js";
import type { TextConfig, TextInputs } from "./text/types.js";

const defaults = {
  vocab_size: 30522,
  max_position_embeddings: 512,
  sinusoidal_pos_embds: false,
  n_layers: 6,
  n_heads: 12,
  dim: 768,
  hidden_dim: 3072,
  dropout: 0.1,
  attention_dropout: 0.1,
  activation: "gelu",
  initializer_range: 0.02,
  seq_classif_dropout: 0.2,
  pad_token_id: nullable("number", 0),
  problem_type: nullable("string"),
  tie_word_embeddings: true,
};

/** The keys of a DistilBERT config that are read. */
export type DistilBertConfig = Fields<typeof defaults> & TextConfig;

const eps = 1e-12;

function read(given: JsonObject): DistilBertConfig {
  const config = readFields("DistilBERT", { model_type: "distilbert", ...given }, defaults);
  const { vocab_size, max_position_embeddings, n_layers, n_heads, dim, hidden_dim } = config;
  checkSizes("DistilBERT", { vocab_size, max_position_embeddings, n_layers, n_heads, dim, hidden_dim }, ["dim", "n_heads"]);
  return config;
}

class Embeddings extends nn.Module {
  word_embeddings: nn.Embedding;
  position_embeddings: nn.Embedding;
  LayerNorm: nn.LayerNorm;
  dropout: nn.Dropout;

  constructor({ vocab_size, dim, max_position_embeddings, pad_token_id, dropout }: DistilBertConfig) {
    super();
    this.word_embeddings = new nn.Embedding(vocab_size, dim, pad_token_id === null ? {} : { paddingIdx: pad_token_id });
    this.position_embeddings = new nn.Embedding(max_position_embeddings, dim);
    this.LayerNorm = new nn.LayerNorm(dim, { eps });
    this.dropout = new nn.Dropout(dropout);
  }

  forward(inputIds: Tensor, { positionIds, tokenTypeIds }: TextInputs): Tensor {
    const [, T] = inputIds.shape;
    const room = this.position_embeddings.numEmbeddings;
    if (tokenTypeIds !== undefined) throw new GraftError("argument", "DistilBERT has no segments. Leave tokenTypeIds out.");
    if (positionIds === undefined && T > room) throw new GraftError("shape", `the sequence has ${T} tokens, the model has positions for ${room}. Cut it to ${room} tokens.`);
    const places = this.position_embeddings.forward(positionIds ?? iota([T], 0));
    const sum = F.add(F.cast(this.word_embeddings.forward(inputIds), "f32"), F.cast(places, "f32"));
    return this.dropout.forward(this.LayerNorm.forward(sum));
  }
}

class Attention extends nn.Module {
  q_lin: nn.Linear;
  k_lin: nn.Linear;
  v_lin: nn.Linear;
  out_lin: nn.Linear;

  constructor(private readonly config: DistilBertConfig) {
    super();
    const lin = (): nn.Linear => new nn.Linear(config.dim, config.dim);
    [this.q_lin, this.k_lin, this.v_lin, this.out_lin] = [lin(), lin(), lin(), lin()];
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    const [q, k, v] = [this.q_lin, this.k_lin, this.v_lin].map((lin) => nn.splitHeads(lin.forward(x), this.config.n_heads));
    return this.out_lin.forward(nn.joinHeads(nn.attend(q, k, v, mask, { dropoutP: this.training ? this.config.attention_dropout : 0 })));
  }
}

class FeedForward extends nn.Module {
  lin1: nn.Linear;
  lin2: nn.Linear;
  dropout: nn.Dropout;
  private readonly activation: (x: Tensor) => Tensor;

  constructor({ dim, hidden_dim, dropout, activation }: DistilBertConfig) {
    super();
    this.lin1 = new nn.Linear(dim, hidden_dim);
    this.lin2 = new nn.Linear(hidden_dim, dim);
    this.dropout = new nn.Dropout(dropout);
    this.activation = activationOf("DistilBERT", "activation", activation);
  }

  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.lin2.forward(this.activation(this.lin1.forward(x))));
  }
}

/** norm(x + attn(x)), then norm(x + ffn(x)). */
class Block extends nn.Module {
  attention: Attention;
  sa_layer_norm: nn.LayerNorm;
  ffn: FeedForward;
  output_layer_norm: nn.LayerNorm;

  constructor(config: DistilBertConfig) {
    super();
    this.attention = new Attention(config);
    this.sa_layer_norm = new nn.LayerNorm(config.dim, { eps });
    this.ffn = new FeedForward(config);
    this.output_layer_norm = new nn.LayerNorm(config.dim, { eps });
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    const attended = this.sa_layer_norm.forward(F.add(this.attention.forward(x, mask), x));
    return this.output_layer_norm.forward(F.add(this.ffn.forward(attended), attended));
  }
}

class Transformer extends nn.Module {
  layer: nn.ModuleList<Block>;
  /** Blocks are not kept for the backward pass but computed again (see `checkpoint`). */
  gradientCheckpointing = false;

  constructor(config: DistilBertConfig) {
    super();
    this.layer = new nn.ModuleList(Array.from({ length: config.n_layers }, () => new Block(config)));
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    for (const layer of this.layer) x = this.gradientCheckpointing && this.training ? checkpoint((h) => layer.forward(h, mask), x) : layer.forward(x, mask);
    return x;
  }
}

/** Embeddings and blocks of DistilBERT: token ids [B, T] -> hidden states [B, T, C]. */
export class DistilBertModel extends nn.Module {
  embeddings: Embeddings;
  transformer: Transformer;

  constructor(config: DistilBertConfig) {
    super();
    this.embeddings = new Embeddings(config);
    this.transformer = new Transformer(config);
  }

  forward(inputIds: Tensor, inputs: TextInputs = {}): Tensor {
    const mask = nn.attentionMask({ queries: inputIds.shape[1], causal: false, attentionMask: inputs.attentionMask });
    return this.transformer.forward(this.embeddings.forward(inputIds, inputs), mask);
  }
}

/** Sines and cosines of position * 10000^(-2i/dim), which stay as they are in training. */
function sinusoids(count: number, dim: number): nn.Parameter {
  const values = Float32Array.from({ length: count * dim }, (_, at) => {
    const [position, i] = [Math.floor(at / dim), at % dim];
    const angle = position / 10000 ** ((2 * Math.floor(i / 2)) / dim);
    return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
  return new nn.Parameter(fromData(values, [count, dim], "f32"), { requiresGrad: false });
}

/** A DistilBERT trunk and a head; `finish` draws the weights. */
abstract class DistilBert extends TextEncoder<DistilBertConfig> {
  distilbert: DistilBertModel;

  constructor(config: DistilBertConfig, task: "tokens" | "sequence") {
    super(config, task);
    this.distilbert = new DistilBertModel(config);
  }

  protected finish(): void {
    const { initializer_range, sinusoidal_pos_embds, max_position_embeddings, dim } = this.config;
    initializeWeights(this, initializer_range);
    if (sinusoidal_pos_embds) this.distilbert.embeddings.position_embeddings.weight = sinusoids(max_position_embeddings, dim);
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    return this.distilbert.forward(inputIds, inputs);
  }
}

/**
 * DistilBERT that fills in masked words (Sanh et al., "DistilBERT", 2019): BERT with half the layers and no segments. Logits [B, T, V].
 * @example
 * const model = new DistilBertForMaskedLM({ dim: 64, n_layers: 2, n_heads: 4, hidden_dim: 128, vocab_size: 1000 });
 */
export class DistilBertForMaskedLM extends DistilBert {
  vocab_transform: nn.Linear;
  vocab_layer_norm: nn.LayerNorm;
  vocab_projector: nn.Linear;

  constructor(given: JsonObject) {
    const config = read(given);
    super(config, "tokens");
    this.vocab_transform = new nn.Linear(config.dim, config.dim);
    this.vocab_layer_norm = new nn.LayerNorm(config.dim, { eps });
    this.vocab_projector = new nn.Linear(config.dim, config.vocab_size);
    this.finish();
    if (config.tie_word_embeddings) this.vocab_projector.weight = this.distilbert.embeddings.word_embeddings.weight;
  }

  protected head(hidden: Tensor): Tensor {
    const activation = activationOf("DistilBERT", "activation", this.config.activation);
    return this.vocab_projector.forward(this.vocab_layer_norm.forward(activation(this.vocab_transform.forward(hidden))));
  }
}

/** DistilBERT that classifies whole sequences by their first token: logits [B, classes]. */
export class DistilBertForSequenceClassification extends DistilBert {
  pre_classifier: nn.Linear;
  classifier: nn.Linear;
  dropout: nn.Dropout;

  constructor(given: JsonObject) {
    const config = withLabels("DistilBERT", read(given));
    super(config, "sequence");
    this.pre_classifier = new nn.Linear(config.dim, config.dim);
    this.classifier = new nn.Linear(config.dim, classCount(config));
    this.dropout = new nn.Dropout(config.seq_classif_dropout);
    this.finish();
  }

  protected head(hidden: Tensor): Tensor {
    const first = F.relu(this.pre_classifier.forward(F.select(hidden, 1, 0)));
    return this.classifier.forward(this.dropout.forward(first));
  }
}

/** DistilBERT that classifies every token: logits [B, T, classes]. */
export class DistilBertForTokenClassification extends DistilBert {
  dropout: nn.Dropout;
  classifier: nn.Linear;

  constructor(given: JsonObject) {
    const config = withLabels("DistilBERT", read(given));
    super(config, "tokens");
    this.dropout = new nn.Dropout(config.dropout);
    this.classifier = new nn.Linear(config.dim, classCount(config));
    this.finish();
  }

  protected head(hidden: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(hidden));
  }
}

export const distilbert: Family = {
  models: { DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertForTokenClassification },
  trunk: "distilbert",
  renames: [
    [/LayerNorm\.gamma$/, "LayerNorm.weight"],
    [/LayerNorm\.beta$/, "LayerNorm.bias"],
  ],
  ignored: [/position_ids$/],
};
