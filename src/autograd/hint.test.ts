import { tensor } from "graftml";
import { afterEach, expect, it, vi } from "vitest";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it("GRAFT_DEBUG=1 says once that a loss read before backward() is computed twice", () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  const hints = (): string[] => written.filter((text) => text.startsWith("graft: hint: a value was read before backward()"));
  const w = tensor([1, 2], { requiresGrad: true });
  const readBefore = (): void => {
    const loss = w.square().sum();
    loss.item();
    loss.backward();
  };
  readBefore();
  expect(hints()).toHaveLength(0);
  vi.stubEnv("GRAFT_DEBUG", "1");
  w.square().sum().backward(); // not read
  expect(hints()).toHaveLength(0);
  readBefore();
  readBefore();
  expect(hints()).toHaveLength(1);
  expect([...w.grad!.dataSync()]).toEqual([8, 16]); // four times 2 w
});
