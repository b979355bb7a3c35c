import { F, nn, type Tensor } from "graftml";
import type { Forward, Implementations } from "./implementation.js";

export const attention: Implementations = {
  attention: () => (q, k, v) => F.scaledDotProductAttention(q, k, v),
  attention_padded: () => (q, k, v, mask) => F.scaledDotProductAttention(q, k, v, { attnMask: mask }),
};

/** A function with parameters of its own. */
export interface Layer {
  readonly parameters: readonly Tensor[];
  readonly forward: Forward;
}

const recurrent = (layer: nn.GRU | nn.RNN | nn.LSTM): Layer => ({ parameters: layer.parameters(), forward: (x) => layer.forward(x)[0] });

function encoder(dropout: number): Layer {
  const layer = new nn.TransformerEncoderLayer(256, 4, { dimFeedforward: 1024, dropout, batchFirst: true });
  return { parameters: layer.parameters(), forward: (x) => layer.forward(x) };
}

/** Layers by name, made when they are measured. */
export const layers: Readonly<Record<string, () => Layer>> = {
  gru: () => recurrent(new nn.GRU(128, 256, { batchFirst: true })),
  rnn: () => recurrent(new nn.RNN(128, 256, { batchFirst: true })),
  lstm_bidirectional: () => recurrent(new nn.LSTM(64, 128, { batchFirst: true, bidirectional: true })),
  encoder_layer: () => encoder(0),
  encoder_layer_dropout: () => encoder(0.1),
};
