import { GraftError } from "../../../base/index.js";
import { composed, leafNode, nextNodeId, noGrad, Tensor, type DType, type Node } from "../../../graph/index.js";
import { rememberModes, type Module } from "../../../nn/index.js";
import { cannotWrite } from "./problem.js";
import { sizeAt, type Axis, type Size } from "./size.js";

/** A value that `forward` is given. */
export interface GraphInput {
  readonly name: string;
  readonly shape: readonly Size[];
  /** What the model takes. */
  readonly dtype: DType;
}

/** What is recorded: the inputs of a model, and how its `forward` makes outputs of them. */
export interface Program {
  readonly model: Module;
  readonly inputs: readonly GraphInput[];
  readonly axes: readonly Axis[];
  readonly outputs: readonly string[];
  run(...inputs: readonly Tensor[]): readonly Tensor[];
}

/** The ops that can be written. */
export interface Vocabulary {
  has(op: string): boolean;
  /** Why an op is refused, also where it has a composite definition; undefined for one that nothing is known of. */
  refusal(op: string): string | undefined;
}

/** A recorded node with the places of its inputs in the list. */
export interface Recorded {
  readonly node: Node;
  readonly inputs: readonly number[];
  /** Place among the program's inputs. */
  readonly given: number | undefined;
  /** The module that recorded it. */
  readonly path: string;
}

/** One recording of `forward`: nodes in an order in which inputs come first, and the places of the outputs. */
export interface Recording {
  readonly nodes: readonly Recorded[];
  readonly outputs: readonly number[];
  /** Sizes of the axes. */
  readonly at: readonly number[];
}

/** Runs `body` in evaluation mode and tells which module, by path, recorded each node. */
function withPaths<T>(model: Module, body: () => T): { readonly result: T; readonly pathOf: Map<number, string> } {
  const pathOf = new Map<number, string>();
  const removers: (() => void)[] = [];
  const restoreModes = rememberModes(model);
  const begins: number[] = [];
  try {
    model.eval();
    for (const [path, module] of model.namedModules()) {
      removers.push(module.registerForwardPreHook(() => void begins.push(nextNodeId())));
      removers.push(
        module.registerForwardHook(() => {
          for (let id = begins.pop()!; id < nextNodeId(); id++) if (!pathOf.has(id)) pathOf.set(id, path); // inner modules end first
        }),
      );
    }
    return { result: noGrad(body), pathOf };
  } finally {
    for (const remove of removers) remove();
    restoreModes();
  }
}

/**
 * Records `forward` with inputs of the sizes that `at` gives to the axes; nothing is computed. Ops that cannot be written are replaced by their composite definition.
 * Throws `config` for those that have none, and what `forward` throws.
 */
export function recordProgram({ model, inputs, run }: Program, at: readonly number[], vocabulary: Vocabulary): Recording {
  const leaves = inputs.map(({ shape, dtype }) => leafNode(undefined, shape.map((size) => sizeAt(size, at)), dtype));
  const { result, pathOf } = withPaths(model, () => run(...leaves.map((leaf) => new Tensor(leaf))));
  const replaced = new Map<Node, readonly Node[]>();

  /** The outputs of a node's composite definition; undefined where the node stays. */
  const partsOf = (node: Node): readonly Node[] | undefined => {
    const { name, composite } = node.op;
    if (node.value !== undefined || leaves.includes(node) || composite === undefined || vocabulary.has(name) || vocabulary.refusal(name) !== undefined) return undefined;
    let found = replaced.get(node);
    if (found === undefined) {
      const first = nextNodeId();
      const made = noGrad(() => composed(node.op, node.inputs.map((input) => new Tensor(input)), node.attrs));
      for (let id = first; id < nextNodeId(); id++) pathOf.set(id, pathOf.get(node.id) ?? "");
      found = made.map((tensor) => tensor.node);
      replaced.set(node, found);
    }
    return found;
  };
  /** What stands for a node: a part of a composite definition, or itself. */
  const standIn = (node: Node): Node => {
    const index = node.op.trait === "output" ? (node.attrs.index as number) : 0;
    const part = partsOf(node.op.trait === "output" ? node.inputs[0] : node)?.[index];
    return part === undefined ? node : standIn(part);
  };

  const places = new Map<Node, number>();
  const nodes: Recorded[] = [];
  const inputsOf = (node: Node): readonly Node[] => {
    if (node.value !== undefined || leaves.includes(node)) return [];
    // A movement looks at its first input; others only receive gradients. What is read of an assigned tensor is the new value.
    const read = node.op.trait === "movement" ? node.inputs.slice(0, 1) : node.op.trait === "assign" ? [node.inputs[1]] : node.inputs;
    return read.map(standIn);
  };
  const stack: Node[] = result.map((tensor) => standIn(tensor.node)).reverse();
  const outputs = [...stack].reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const missing = places.has(node) ? [] : inputsOf(node).filter((input) => !places.has(input));
    if (missing.length > 0) {
      stack.push(...missing.reverse());
      continue;
    }
    stack.pop();
    if (places.has(node)) continue;
    if (node.consumedBy !== undefined) throw new GraftError("stale", `exportOnnx: a value that ${node.consumedBy} has overwritten is still used. Finish the step first (await optimizer.step()).`);
    const given = leaves.indexOf(node);
    const { name, trait } = node.op;
    if (node.value === undefined && given < 0 && trait !== "output" && !vocabulary.has(name)) {
      throw cannotWrite(name, pathOf.get(node.id) ?? "", vocabulary.refusal(name) ?? "ONNX has nothing like it. Use other ops in its place");
    }
    places.set(node, nodes.length);
    nodes.push({ node, inputs: inputsOf(node).map((input) => places.get(input)!), given: given < 0 ? undefined : given, path: pathOf.get(node.id) ?? "" });
  }
  return { nodes, outputs: outputs.map((node) => places.get(node)!), at };
}
