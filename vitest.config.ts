import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^graftml$/, replacement: source("index.ts") },
      { find: /^graftml\/(.*)$/, replacement: `${source("")}$1/index.ts` },
    ],
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/slow/**"],
    pool: "forks",
    testTimeout: 60_000,
    globalSetup: "test/wasm-setup.ts",
  },
});
