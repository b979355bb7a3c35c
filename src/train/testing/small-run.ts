import { ArrayDataset, map, type Dataset } from "../../data/index.js";
import type { Tensor } from "../../graph/index.js";
import * as nn from "../../nn/index.js";
import { Adam, StepLR } from "../../optim/index.js";
import { F, manualSeed } from "../../ops/index.js";
import { fit } from "../fit.js";
import type { FitOptions, FitResult } from "../types.js";

/** A network with everything that a resumed run has to get right: running statistics, dropout, several layers. */
export class SmallNet extends nn.Module {
  first: nn.Linear;
  norm: nn.BatchNorm1d;
  drop = new nn.Dropout(0.2);
  last: nn.Linear;

  constructor(inputs = 4, width = 16, classes = 3) {
    super();
    this.first = new nn.Linear(inputs, width);
    this.norm = new nn.BatchNorm1d(width);
    this.last = new nn.Linear(width, classes);
  }
  forward(x: Tensor): Tensor {
    return this.last.forward(this.drop.forward(F.relu(this.norm.forward(this.first.forward(x)))));
  }
}

/** A model made from a seed. */
export function seeded<M>(make: () => M, seed = 1): M {
  manualSeed(seed);
  return make();
}

type Pair = readonly [Float32Array, number];

/** Points [4] around three centres, with their class. */
export function blobs(length: number, from = 0): Dataset<Pair> {
  const samples = Array.from({ length }, (_, i): Pair => {
    const [n, label] = [i + from, (i + from) % 3];
    const wave = (k: number): number => Math.sin(12.9898 * n + 78.233 * k) * 0.8;
    return [Float32Array.from({ length: 4 }, (_, k) => (k === label ? 1 : 0) + wave(k)), label];
  });
  return new ArrayDataset(samples);
}

/** `blobs` with a little noise, anew at each epoch. */
export const noisyBlobs = (length: number): Dataset<Pair> => map(blobs(length), ([x, label], random): Pair => [x.map((value) => value + random.normal() * 0.05), label]);

/** What a run keeps beside weights and optimiser. */
export const everything = { ema: { decay: 0.9 }, watchdog: { nan: "skip", spike: "skip", window: 4 } } as const;

/** A short run with shuffling, noise, dropout, running statistics, Adam and a scheduler: 3 epochs of 10 steps. */
export async function smallRun(options: Partial<FitOptions> = {}): Promise<{ readonly model: SmallNet; readonly result: FitResult }> {
  const model = seeded(() => new SmallNet());
  const result = await fit(model, {
    train: noisyBlobs(77),
    valid: blobs(30, 1000),
    optimizer: (m) => new Adam(m.parameters(), { lr: 0.01 }),
    scheduler: (optimizer) => new StepLR(optimizer as Adam, { stepSize: 1, gamma: 0.7 }),
    epochs: 3,
    batchSize: 8,
    seed: 5,
    progress: false,
    ...options,
  });
  return { model, result };
}

/** All weights and buffers as bytes. */
export async function bitsOf(model: nn.Module): Promise<string> {
  const parts: string[] = [];
  for (const [name, tensor] of model.stateDict()) {
    const data = await tensor.data();
    parts.push(`${name} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")}`);
  }
  return parts.join("\n");
}
