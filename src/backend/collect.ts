import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// V8 allocates what a place in the code makes in the old generation once most of what that place has made lived long. The first step's graph does, while its plan is
// compiled; arrays of later graphs would then be old at once, and since what is old and dead holds what it refers to until the next collection of the whole heap, every
// graph would survive all young collections: 4 to 16 ms each, every 14 steps of a small language model, where they take 0.5 without. V8 complains of flags that it does
// not have, so versions that are not known yet keep their habit.
if (Number.parseInt(process.versions.node) <= 24) setFlagsFromString("--no-allocation-site-pretenuring");

type Collect = (options?: { readonly type: "minor" }) => void;

let collect: Collect | undefined;

/** V8's collector, which Node shows only to programs that were started with a flag. */
function collector(): Collect {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
    setFlagsFromString("--no-expose-gc");
  }
  return collect;
}

/** Collects all garbage (some milliseconds), or what was made lately (a fraction of one). */
export function collectGarbage(all: boolean): void {
  if (all) collector()();
  else collector()({ type: "minor" });
}
