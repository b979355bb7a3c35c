import { GraftError } from "../../../base/index.js";
import { outputSpecs, type AttrValue, type DType, type Node, type TypedArray } from "../../../graph/index.js";
import { recordProgram, type Program, type Recorded, type Recording, type Vocabulary } from "./record.js";
import { interpolate, sizeAt, type Axis, type Inverse, type Size } from "./size.js";

/** An attribute whose numbers may depend on the axes. */
export type SymbolicAttr = Size | Inverse | string | boolean | undefined | readonly Size[] | readonly string[];

/** Shape and dtype of a value. */
export interface SymbolicSpec {
  readonly shape: readonly Size[];
  readonly dtype: DType;
}

/** A node of the graph for all sizes of the axes. */
export interface SymbolicNode {
  /** The first recording's node: its op, and its value where it is a weight or a constant. */
  readonly node: Node;
  readonly inputs: readonly number[];
  readonly given: number | undefined;
  readonly path: string;
  readonly attrs: Readonly<Record<string, SymbolicAttr>>;
  readonly outputs: readonly SymbolicSpec[];
}

/** The graph of a program for all sizes of its axes. */
export interface SymbolicGraph {
  readonly nodes: readonly SymbolicNode[];
  readonly outputs: readonly number[];
}

const places = (axes: readonly Axis[], at: readonly number[]): string => axes.map(({ name }, i) => `${name} ${at[i]}`).join(", ");
const where = (path: string): string => (path === "" ? "" : ` in ${path}`);

/** The recordings say different things: the program is not one graph. */
function differs({ axes }: Program, first: Recording, other: Recording, what: string): GraftError {
  const fix = axes.length > 1 ? "Export for one size: { batch, length } (graft export --batch 1 --length 128)" : "Export for one size: { batch } (graft export --batch 1)";
  return new GraftError("config", `exportOnnx: forward records another graph at ${places(axes, other.at)} than at ${places(axes, first.at)}: ${what}. ${fix}.`);
}

/** A fixed leaf's memory: bits must not depend on the axes. */
const sameBytes = (a: TypedArray, b: TypedArray): boolean => a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

/** Number that the recordings agree on, or a formula of the axes. The last recording is the check. */
function unify(found: readonly number[], program: Program, recordings: readonly Recording[], say: () => string): Size | Inverse {
  if (found.every((value) => Object.is(value, found[0]))) return found[0];
  const grid = found.slice(0, -1);
  const probe = recordings[recordings.length - 1];
  const size = found.every(Number.isInteger) ? interpolate(grid, program.axes) : undefined;
  if (size !== undefined && sizeAt(size, probe.at) === found[found.length - 1]) return size;
  const inverse = interpolate(grid.map((value) => 1 / value), program.axes);
  if (inverse !== undefined && typeof inverse !== "number" && Math.abs(sizeAt(inverse, probe.at) * found[found.length - 1] - 1) < 1e-6) return { inverse };
  throw differs(program, recordings[0], probe, `${say()} is ${found.join(", ")}, which is linear in none of the sizes`);
}

/** A whole number in all recordings. */
function unifySize(found: readonly number[], program: Program, recordings: readonly Recording[], say: () => string): Size {
  const size = unify(found, program, recordings, say);
  if (typeof size === "object" && "inverse" in size) throw differs(program, recordings[0], recordings[1], `${say()} is ${found.join(", ")}`);
  return size;
}

function unifyAttr(found: readonly AttrValue[], program: Program, recordings: readonly Recording[], say: () => string): SymbolicAttr {
  const [first] = found;
  if (typeof first === "number") return unify(found as readonly number[], program, recordings, say);
  if (Array.isArray(first) && typeof first[0] === "number") {
    const lists = found as readonly (readonly number[])[];
    if (lists.some((list) => list.length !== first.length)) throw differs(program, recordings[0], recordings[1], `${say()} has another length`);
    return (first as readonly number[]).map((_, i) => unifySize(lists.map((list) => list[i]), program, recordings, say));
  }
  const other = found.findIndex((value) => String(value) !== String(first));
  if (other >= 0) throw differs(program, recordings[0], recordings[other], `${say()} is ${String(found[other])} and ${String(first)}`);
  return first as string | boolean | undefined;
}

function unifyNode(versions: readonly Recorded[], program: Program, recordings: readonly Recording[]): SymbolicNode {
  const [{ node, inputs, given, path }] = versions;
  versions.forEach((version, i) => {
    const same = version.node.op.name === node.op.name && version.given === given && version.inputs.join() === inputs.join() && (version.node.value === undefined) === (node.value === undefined);
    if (!same) throw differs(program, recordings[0], recordings[i], `${version.node.op.name}${where(version.path)} instead of ${node.op.name}${where(path)}`);
    const [a, b] = [node.value, version.node.value];
    if (a !== undefined && a !== b && !sameBytes(a, b!)) throw differs(program, recordings[0], recordings[i], `a constant${where(path)} has other values; make it from ops (arange, comparisons)`);
  });
  const attrs: Record<string, SymbolicAttr> = {};
  if (node.value === undefined) {
    for (const key of Object.keys(node.attrs)) {
      attrs[key] = unifyAttr(versions.map((version) => version.node.attrs[key]), program, recordings, () => `"${key}" of ${node.op.name}${where(path)}`);
    }
  }
  const specs = versions.map((version) => outputSpecs(version.node));
  const outputs = specs[0].map(({ shape, dtype }, o) => ({
    dtype,
    shape: shape.map((_, d) => unifySize(specs.map((list) => list[o].shape[d]), program, recordings, () => `dim ${d} of ${node.op.name}${where(path)}`)),
  }));
  return { node, inputs, given, path, attrs, outputs };
}

/**
 * The graph that `forward` records, for all sizes of the axes: it is recorded with each axis low and high and once more in between, the recordings must be the same but for their numbers,
 * and numbers that differ become formulas of the axes. Throws `config` where that fails.
 */
export function traceProgram(program: Program, vocabulary: Vocabulary): SymbolicGraph {
  const { axes } = program;
  const corners = Array.from({ length: 1 << axes.length }, (_, m) => axes.map(({ low, high }, i) => (m & (1 << i) ? high : low)));
  const recordings = [...corners, ...(axes.length === 0 ? [] : [axes.map(({ probe }) => probe)])].map((at) => recordProgram(program, at, vocabulary));
  const [first] = recordings;
  const other = recordings.find(({ nodes, outputs }) => nodes.length !== first.nodes.length || outputs.join() !== first.outputs.join());
  if (other !== undefined) {
    const at = first.nodes.findIndex(({ node }, i) => other.nodes[i]?.node.op.name !== node.op.name);
    const place = first.nodes[at < 0 ? first.nodes.length - 1 : at];
    throw differs(program, first, other, `${other.nodes.length} operations instead of ${first.nodes.length}, beginning at ${place.node.op.name}${where(place.path)}`);
  }
  return { nodes: first.nodes.map((_, i) => unifyNode(recordings.map(({ nodes }) => nodes[i]), program, recordings)), outputs: first.outputs };
}
