import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data } from "graftml";
import { afterAll, describe, expect, it } from "vitest";
import { sentiment, usual } from "../../examples/lm/sentiment.js";
import { scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

/** Sentences in which words of one side keep company: who has read them knows the side of words that no label was given for. */
function reviews(count: number): string {
  const random = new data.Random(3);
  const words = [0, 1].map((side) => Array.from({ length: 24 }, (_, i) => `w${"abcdefghijklmnopqrstuvwx"[i]}${"xy"[side]}`));
  const pick = (side: number): string => words[side][random.integer(24)];
  return Array.from({ length: count }, (_, i) => `${i % 2} the film is ${pick(i % 2)} , ${pick(i % 2)} and ${pick(i % 2)} .`).join("\n");
}

describe("examples/lm/sentiment.ts", () => {
  it("compares a pretrained encoder with the same one from scratch", async () => {
    mkdirSync(join(dir, "rotten-tomatoes-mr"));
    writeFileSync(join(dir, "rotten-tomatoes-mr", "rt-polarity.all"), reviews(700));
    const lines: string[] = [];
    const study = {
      ...usual, test: 100, labels: 16, seeds: 3, vocabSize: 600, size: 32, layers: 1, inner: 32, file: join(dir, "rotten-tomatoes-mr", "rt-polarity.all"), print: (text: string) => void lines.push(text),
      pretrain: { ...usual.pretrain, epochs: 20, batchSize: 16, lr: 0.003, warmupSteps: 20, probability: 0.3, frequent: 0.01 },
      dropout: 0,
      tune: { ...usual.tune, epochs: 15, batchSize: 8, lr: 0.002 },
    };
    const { pretrained, scratch: fresh } = await sentiment(study);
    const all = lines.join("\n");
    expect([pretrained.length, fresh.length]).toEqual([3, 3]);
    expect(all).toMatch(/600 sentences without labels, 100 to test with/);
    expect(all).toMatch(/pretrained {4}\d+\.\d\d \+- \d+\.\d\d\nfrom scratch {2}\d+\.\d\d \+- \d+\.\d\d\ndifference/);
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
    expect(mean(pretrained)).toBeGreaterThan(0.9);
    expect(mean(fresh)).toBeLessThan(0.8);
  });

  it("says where it looks for the sentences", () => {
    const file = fileURLToPath(new URL("../../examples/lm/sentiment.ts", import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], { encoding: "utf8", cwd: fileURLToPath(new URL("../..", import.meta.url)), env: { ...process.env, GRAFT_DATA: join(dir, "none") } });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/none.rotten-tomatoes-mr.rt-polarity\.all is not there\..*GRAFT_DATA/);
  });
});
