import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasNative } from "graftml";
import { afterEach, expect, it, vi } from "vitest";
import { read, root } from "../house/tree.js";
import { blocksOf, isRun, pages } from "./blocks.js";
import { PageRunner } from "./run.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** The text of the last plan that a block's code compiles. */
async function lastPlan(page: string): Promise<string> {
  const [block] = blocksOf(page).filter(isRun);
  vi.stubEnv("GRAFT_DEBUG", "3");
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  await new PageRunner().run(block);
  return written.filter((text) => text.startsWith("slot")).at(-1)!.trimEnd();
}

// `GRAFT_UPDATE_DOCS=1 npx vitest run test/docs` writes the present plan into the page.
it.skipIf(!hasNative())("the plan that docs/architecture.md shows is the one that is printed", async () => {
  const page = pages.find((path) => path === "docs/architecture.md")!;
  const plan = await lastPlan(page);
  const pattern = /^```text plan\n([\s\S]*?)^```/m;
  if (process.env.GRAFT_UPDATE_DOCS === "1") writeFileSync(join(root, page), read(page).replace(pattern, () => `\`\`\`text plan\n${plan}\n\`\`\``));
  expect(pattern.exec(read(page))![1].trimEnd()).toBe(plan);
});
