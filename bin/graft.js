#!/usr/bin/env node
// The command. Runs dist; in a clone whose sources are newer than dist (or that has none) it runs src through tsx, so that it is never stale.
import { distIsCurrent } from "./current.js";

process.setSourceMapsEnabled(true);
const dist = distIsCurrent();
if (!dist) (await import("tsx/esm/api")).register();
const { main } = await import(dist ? "../dist/cli/index.js" : "../src/cli/index.ts");
process.exitCode = await main(process.argv.slice(2));
