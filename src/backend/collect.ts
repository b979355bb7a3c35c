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

/** Collects all garbage: some milliseconds. */
export const collectGarbage = (): void => collector()();

/** Collects what was made lately: a fraction of a millisecond. */
export const collectYoung = (): void => collector()({ type: "minor" });
