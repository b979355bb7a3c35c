import { mergeConfig } from "vitest/config";
import base from "./vitest.config.js";

/** `npm run test:slow`: what takes minutes (whole trainings, long runs, fuzzing). One file at a time, so that timings mean something. */
const slow = mergeConfig(base, { test: { testTimeout: 1_800_000, hookTimeout: 1_800_000, fileParallelism: false, passWithNoTests: true } });
slow.test!.include = ["test/slow/**/*.test.ts"]; // merging would add to the lists
slow.test!.exclude = [];

export default slow;
