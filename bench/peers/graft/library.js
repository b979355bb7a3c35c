// "graftml" is what is published, compiled by tsc (`npm run bench` sees to that); tsx, which runs the sources where dist is not current, names every function
// when it is made, and that makes recording a quarter slower.
import { register } from "node:module";
import { distIsCurrent } from "../../../bin/current.js";

const entry = new URL(distIsCurrent() ? "../../../dist/index.js" : "../../../src/index.ts", import.meta.url).href;
register(new URL("../../../bin/resolve.js", import.meta.url), { data: { entry } });
