import { F, type Tensor } from "graftml";

/** What a training step is made of. */
export interface Setup {
  readonly model: { forward(x: Tensor): Tensor };
  readonly optimizer: { zeroGrad(): void; step(): Promise<unknown> };
  readonly x: Tensor;
  readonly y: Tensor;
  readonly loss: (output: Tensor, target: Tensor) => Tensor;
}

/** The loss of all classifiers and language models. */
export const entropy = (output: Tensor, target: Tensor): Tensor => F.crossEntropy(output, target);
