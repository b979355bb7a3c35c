import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

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
