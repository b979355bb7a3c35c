import { normal, padding, type FunctionDeclaration } from "./declare.js";

const attention = (name: string, queries: readonly number[], keys = queries): Pick<FunctionDeclaration, "name" | "inputs"> =>
  ({ name: `attention_${name}`, inputs: [normal(...queries), normal(...keys), normal(...keys)] });
const padded = attention("padded", [8, 8, 128, 64]);

/** Attention by itself and layers with parameters, of which the gradients are computed too. Inputs of layers are [B, T, features]. */
export const layers: readonly FunctionDeclaration[] = [
  { ...padded, inputs: [...padded.inputs, padding(8, 1, 1, 128)] },
  { ...attention("cross", [8, 8, 64, 64], [8, 8, 512, 64]), call: "attention" },
  { ...attention("short", [64, 8, 16, 32]), call: "attention" },
  { ...attention("one_query", [1, 12, 1, 64], [1, 12, 1024, 64]), call: "attention", gradient: false },
  { name: "gru", inputs: [normal(32, 50, 128)], note: "256 wide" },
  { name: "rnn", inputs: [normal(32, 50, 128)], note: "256 wide" },
  { name: "lstm_bidirectional", inputs: [normal(16, 100, 64)], note: "128 wide" },
  { name: "encoder_layer", inputs: [normal(16, 64, 256)], note: "4 heads, feed-forward 1024 wide" },
  { name: "encoder_layer_dropout", inputs: [normal(16, 64, 256)], note: "4 heads, feed-forward 1024 wide, dropout 0.1" },
];
