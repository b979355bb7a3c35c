import { createInterface } from "node:readline";
import type { Round } from "../report.js";

/** One step; resolves when its loss has been computed. */
export type Step = () => Promise<number>;

/** Milliseconds of a step. */
export async function timeOf(step: Step): Promise<number> {
  const begin = performance.now();
  await step();
  return performance.now() - begin;
}

/**
 * Answers rounds on stdin, a line of JSON each: { "milliseconds": n } runs steps for that long and prints their times, or what `measure`
 * finds of each. Step and memory are those of this process, which runs one workload only.
 */
export function serve(make: (workload: string) => Promise<Step>, measure = timeOf): void {
  const workload = process.argv[2];
  let step: Step | undefined;
  const answer = (round: Round): void => void process.stdout.write(`${JSON.stringify(round)}\n`);
  const round = async (milliseconds: number): Promise<void> => {
    const rss = (): number => process.resourceUsage().maxRSS * 1024;
    let first: number | undefined;
    if (step === undefined) {
      step = await make(workload);
      const begin = performance.now();
      const loss = await step();
      first = performance.now() - begin;
      if (!Number.isFinite(loss)) throw new Error(`the first loss is ${loss}`);
      for (let i = 0; i < 5; i++) await step();
    }
    const times: number[] = [];
    const end = performance.now() + milliseconds;
    while (performance.now() < end || times.length < 3) times.push(await measure(step));
    answer({ times, rss: rss(), first });
  };
  let queue = Promise.resolve();
  const lines = createInterface({ input: process.stdin });
  lines.on("close", () => process.exit(0)); // the benchmark has ended, or was killed
  lines.on("line", (line) => {
    const { milliseconds } = JSON.parse(line) as { milliseconds: number };
    queue = queue.then(() => round(milliseconds)).catch((error: unknown) => answer({ times: [], rss: 0, error: (error as Error).message.split("\n")[0] }));
  });
}
