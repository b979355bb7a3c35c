// A run for the test that kills it: `killed-run.ts <folder>`. It tells each step and is slow enough to be caught.
import { setTimeout } from "node:timers/promises";
import { everything, smallRun } from "./small-run.js";

const { result } = await smallRun({
  ...everything,
  log: true,
  logEvery: 1,
  tensorboard: true,
  checkpoint: { dir: process.argv[2], every: 3, keep: 2 },
  resume: true,
  callbacks: {
    async onBatchEnd({ step }) {
      process.stdout.write(`step ${step}\n`);
      await setTimeout(10);
    },
  },
});
process.stdout.write(`done ${result.stopped}\n`);
