// graft train examples/fashion-mnist.ts
//
// mnist.ts on pieces of clothing, which are harder. The files are looked for in $GRAFT_DATA/fashion-mnist and fetched when they are missing.
import { at28 } from "./mnist.js";

export default at28("fashion-mnist");
