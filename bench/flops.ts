/** Multiply-adds times two of a convolution with `side` x `side` results; of a transposed one with inputs of that size. */
export const conv = (batch: number, inputs: number, outputs: number, side: number, kernel: number): number => 2 * batch * inputs * outputs * (side * kernel) ** 2;

export const linear = (rows: number, inputs: number, outputs: number): number => 2 * rows * inputs * outputs;

/** Per token 24 d^2 in the products of a layer whose perceptron is four times as wide, 4 T d in those of attention (counted whole, not only the causal half). */
export const transformer = (tokens: number, T: number, layers: number, d: number): number => tokens * layers * (24 * d * d + 4 * T * d);

/** Forward and two gradients of all layers, but no gradient of what is given for the first one. */
export const trained = (first: number, ...rest: readonly number[]): number => 2 * first + 3 * rest.reduce((sum, flops) => sum + flops, 0);
