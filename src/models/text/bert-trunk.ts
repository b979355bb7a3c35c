import { GraftError } from "../../base/index.js";
import type { Tensor } from "../../graph/index.js";
import { checkpoint } from "../../autograd/index.js";
import { F, iota } from "../../ops/index.js";
import type { JsonObject } from "../../io/index.js";
import * as nn from "../../nn/index.js";
import { activationOf } from "./activation.js";
import { checkSizes, nullable, readFields, refuse, type Fields } from "./fields.js";
import type { TextConfig, TextInputs } from "./types.js";

/** Keys of BERT and RoBERTa, with BERT's defaults. */
export const bertFields = {
  vocab_size: 30522,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  initializer_range: 0.02,
  layer_norm_eps: 1e-12,
  pad_token_id: nullable("number", 0),
  classifier_dropout: nullable("number"),
  problem_type: nullable("string"),
  tie_word_embeddings: true,
};

/** The keys of a BERT config that are read. */
export type BertConfig = Fields<typeof bertFields> & TextConfig;

/** Reads and checks a config of BERT or a relative. Throws `config`. */
export function readBertConfig(name: string, given: JsonObject, fields: typeof bertFields): BertConfig {
  const config = readFields(name, given, fields);
  const { vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size } = config;
  checkSizes(name, { vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size }, ["hidden_size", "num_attention_heads"]);
  const relative = given.position_embedding_type !== undefined && given.position_embedding_type !== "absolute";
  refuse(name, { is_decoder: Boolean(given.is_decoder), add_cross_attention: Boolean(given.add_cross_attention), position_embedding_type: relative });
  return config;
}

const dense = (from: number, to: number): nn.Linear => new nn.Linear(from, to);

/** Tokens, positions and segments as vectors: their sum, normalised. */
class BertEmbeddings extends nn.Module {
  word_embeddings: nn.Embedding;
  position_embeddings: nn.Embedding;
  token_type_embeddings: nn.Embedding;
  LayerNorm: nn.LayerNorm;
  dropout: nn.Dropout;

  constructor({ vocab_size, hidden_size: C, max_position_embeddings, type_vocab_size, pad_token_id, layer_norm_eps: eps, hidden_dropout_prob }: BertConfig, private readonly padded: boolean) {
    super();
    const padding = pad_token_id === null ? {} : { paddingIdx: pad_token_id };
    this.word_embeddings = new nn.Embedding(vocab_size, C, padding);
    this.position_embeddings = new nn.Embedding(max_position_embeddings, C, padded ? padding : {});
    this.token_type_embeddings = new nn.Embedding(type_vocab_size, C);
    this.LayerNorm = new nn.LayerNorm(C, { eps });
    this.dropout = new nn.Dropout(hidden_dropout_prob);
  }

  forward(inputIds: Tensor, { positionIds, tokenTypeIds }: TextInputs): Tensor {
    const [, T] = inputIds.shape;
    const first = this.padded ? (this.word_embeddings.paddingIdx ?? 0) + 1 : 0;
    const room = this.position_embeddings.numEmbeddings - first;
    if (positionIds === undefined && T > room) throw new GraftError("shape", `the sequence has ${T} tokens, the model has positions for ${room}. Cut it to ${room} tokens.`);
    const words = this.word_embeddings.forward(inputIds);
    const places = this.position_embeddings.forward(positionIds ?? (this.padded ? this.countedPositions(inputIds) : iota([T], 0)));
    const segments = this.token_type_embeddings.forward(tokenTypeIds ?? F.mul(iota([T], 0), 0));
    const sum = F.add(F.add(F.cast(words, "f32"), F.cast(segments, "f32")), F.cast(places, "f32"));
    return this.dropout.forward(this.LayerNorm.forward(sum));
  }

  /** RoBERTa counts positions from paddingIdx + 1 and leaves padding out. */
  private countedPositions(inputIds: Tensor): Tensor {
    const padding = this.word_embeddings.paddingIdx ?? 0;
    const real = F.cast(F.ne(inputIds, padding), "i32");
    return F.add(F.mul(F.cast(F.cumsum(real, 1), "i32"), real), padding);
  }
}

/** A projection back to the residual stream, which is added and normalised. */
class BertOutput extends nn.Module {
  dense: nn.Linear;
  LayerNorm: nn.LayerNorm;
  dropout: nn.Dropout;

  constructor(from: number, { hidden_size: C, layer_norm_eps: eps, hidden_dropout_prob }: BertConfig) {
    super();
    this.dense = dense(from, C);
    this.LayerNorm = new nn.LayerNorm(C, { eps });
    this.dropout = new nn.Dropout(hidden_dropout_prob);
  }

  forward(x: Tensor, residual: Tensor): Tensor {
    return this.LayerNorm.forward(F.add(this.dropout.forward(this.dense.forward(x)), residual));
  }
}

class BertSelfAttention extends nn.Module {
  query: nn.Linear;
  key: nn.Linear;
  value: nn.Linear;

  constructor(private readonly config: BertConfig) {
    super();
    const C = config.hidden_size;
    [this.query, this.key, this.value] = [dense(C, C), dense(C, C), dense(C, C)];
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    const { num_attention_heads: heads, attention_probs_dropout_prob: p } = this.config;
    const [q, k, v] = [this.query, this.key, this.value].map((projection) => nn.splitHeads(projection.forward(x), heads));
    return nn.joinHeads(nn.attend(q, k, v, mask, { dropoutP: this.training ? p : 0 }));
  }
}

class BertAttention extends nn.Module {
  self: BertSelfAttention;
  output: BertOutput;

  constructor(config: BertConfig) {
    super();
    this.self = new BertSelfAttention(config);
    this.output = new BertOutput(config.hidden_size, config);
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    return this.output.forward(this.self.forward(x, mask), x);
  }
}

class BertIntermediate extends nn.Module {
  dense: nn.Linear;
  private readonly activation: (x: Tensor) => Tensor;

  constructor(config: BertConfig) {
    super();
    this.dense = dense(config.hidden_size, config.intermediate_size);
    this.activation = activationOf("BERT", "hidden_act", config.hidden_act);
  }

  forward(x: Tensor): Tensor {
    return this.activation(this.dense.forward(x));
  }
}

class BertLayer extends nn.Module {
  attention: BertAttention;
  intermediate: BertIntermediate;
  output: BertOutput;

  constructor(config: BertConfig) {
    super();
    this.attention = new BertAttention(config);
    this.intermediate = new BertIntermediate(config);
    this.output = new BertOutput(config.intermediate_size, config);
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    const attended = this.attention.forward(x, mask);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

class BertEncoder extends nn.Module {
  layer: nn.ModuleList<BertLayer>;
  /** Blocks are not kept for the backward pass but computed again (see `checkpoint`). */
  gradientCheckpointing = false;

  constructor(config: BertConfig) {
    super();
    this.layer = new nn.ModuleList(Array.from({ length: config.num_hidden_layers }, () => new BertLayer(config)));
  }

  forward(x: Tensor, mask: nn.AttentionMask): Tensor {
    for (const layer of this.layer) x = this.gradientCheckpointing && this.training ? checkpoint((h) => layer.forward(h, mask), x) : layer.forward(x, mask);
    return x;
  }
}

/** tanh of a projection of the first token. */
class BertPooler extends nn.Module {
  dense: nn.Linear;

  constructor({ hidden_size: C }: BertConfig) {
    super();
    this.dense = dense(C, C);
  }

  forward(hidden: Tensor): Tensor {
    return F.tanh(this.dense.forward(F.select(hidden, 1, 0)));
  }
}

/** Embeddings and blocks of BERT, with a pooler where a head wants it: token ids [B, T] -> hidden states [B, T, C]. */
export class BertModel extends nn.Module {
  embeddings: BertEmbeddings;
  encoder: BertEncoder;
  pooler: BertPooler | null;

  /** `padded`: positions as RoBERTa counts them. */
  constructor(config: BertConfig, { pooler = false, padded = false }: { readonly pooler?: boolean; readonly padded?: boolean } = {}) {
    super();
    this.embeddings = new BertEmbeddings(config, padded);
    this.encoder = new BertEncoder(config);
    this.pooler = pooler ? new BertPooler(config) : null;
  }

  forward(inputIds: Tensor, inputs: TextInputs = {}): Tensor {
    const mask = nn.attentionMask({ queries: inputIds.shape[1], causal: false, attentionMask: inputs.attentionMask });
    return this.encoder.forward(this.embeddings.forward(inputIds, inputs), mask);
  }
}
