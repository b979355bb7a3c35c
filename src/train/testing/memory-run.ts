// Trains for `memory-run.ts <steps>` steps and prints the resident memory, in MiB, at 40 moments, as JSON. Nothing is freed by hand.
import { MLP } from "../../models/index.js";
import { ArrayDataset } from "../../data/index.js";
import { fit } from "../fit.js";
import { seeded } from "./small-run.js";

const steps = Number(process.argv[2]);
const every = Math.max(1, Math.floor(steps / 40));
const resident: number[] = [];
// 128 KiB per batch: a leak of one tensor of a batch, or of its size, per step shows after a few hundred steps
const samples = Array.from({ length: 256 }, (_, i) => [Float32Array.from({ length: 512 }, (_, j) => Math.sin(i * 7 + j)), i % 4] as const);
await fit(seeded(() => new MLP({ inputShape: [512], classes: 4, hidden: [16], dropout: 0.1 })), {
  train: new ArrayDataset(samples),
  maxSteps: steps,
  batchSize: 64,
  evalEvery: every,
  valid: new ArrayDataset(samples.slice(0, 16)),
  progress: false,
  callbacks: { onEvaluate: () => void resident.push(Math.round(process.memoryUsage().rss / 2 ** 20)) },
});
process.stdout.write(`${JSON.stringify(resident)}\n`);
