import { GraftError } from "../base/index.js";
import { composed, decode, encode, leafNode, outputSpecs, recomputed, sameShape, sizeOf, Tensor, type Attrs, type DType, type Node, type Op, type Shape, type Spec } from "../graph/index.js";
import { fullOp, maximum, minimum, relu } from "../ops/index.js";
import { boundedIn } from "./bounds.js";
import { inputCount } from "./collect.js";
import type { Target } from "./types.js";
import { ValueTable, type Value } from "./value.js";

/** Rounds a number to what `dtype` can hold. */
const rounded = (dtype: DType, x: number): number => (dtype === "f32" ? Math.fround(x) : decode(dtype, encode(dtype, x)));

/**
 * First pass: turns nodes into values. Equal computations become one, element-wise ops on constants are computed here, ops that do nothing
 * (x + 0, x * 1, an identity view) disappear, and an op that the target has no kernel for is replaced by its composite definition.
 */
export class Simplifier {
  readonly table = new ValueTable();
  private readonly byNode = new Map<Node, Value>();
  private origin = 0;

  constructor(private readonly target: Target) {}

  /** The values of `nodes`, in order. */
  run(nodes: readonly Node[]): Value[] {
    return nodes.map((node, index) => {
      this.origin = index;
      return this.valueOf(node);
    });
  }

  /** Inputs come before what reads them, without recursion: the definition of a recurrent layer is as deep as its sequences are long. */
  private valueOf(node: Node): Value {
    const path = this.byNode.has(node) ? [] : [node];
    while (path.length > 0) {
      const last = path[path.length - 1];
      const missing = this.missingInput(last);
      if (missing !== undefined) {
        path.push(missing);
        continue;
      }
      this.byNode.set(last, last.value !== undefined ? this.input(last) : this.operation(last));
      path.pop();
    }
    return this.byNode.get(node)!;
  }

  private missingInput(node: Node): Node | undefined {
    if (node.value !== undefined) return undefined;
    for (let i = node.op.trait === "assign" ? 1 : 0; i < inputCount(node); i++) if (!this.byNode.has(node.inputs[i])) return node.inputs[i];
    return undefined;
  }

  private input(node: Node): Value {
    return this.make("input", node.op, {}, [], node, undefined, 0, `input ${this.origin}`);
  }

  constant(shape: Shape, dtype: DType, x: number): Value {
    const number = Object.is(x, -0) ? "-0" : String(x);
    return this.make("constant", fullOp as unknown as Op, {}, [], { shape, dtype }, undefined, x, `constant ${dtype} ${shape.join()} ${number}`);
  }

  private make(kind: Value["kind"], op: Op, attrs: Attrs, inputs: readonly Value[], spec: Spec, outputs: readonly Spec[] | undefined, constant: number, key: string, origin = this.origin): Value {
    return this.table.add({ kind, op, attrs, inputs, shape: spec.shape, dtype: spec.dtype, outputs, origin, constant }, key);
  }

  private operation(node: Node): Value {
    const { op, attrs } = node;
    if (op.trait === "assign") return this.valueOf(node.inputs[1]); // what reads an assigned tensor reads the new value
    const count = inputCount(node);
    const inputs: Value[] = [];
    for (let i = 0; i < count; i++) inputs.push(this.valueOf(node.inputs[i]));
    if ((op as unknown) === fullOp) return this.constant(node.shape, node.dtype, rounded(node.dtype, attrs.value as number));
    if (op.trait === "movement") {
      if (inputs[0].kind === "constant") return this.constant(node.shape, node.dtype, inputs[0].constant);
      if (sameShape(node.shape, inputs[0].shape) && isIdentityView(op, attrs, node)) return inputs[0];
    }
    if (op.trait === "scalar") {
      const simpler = this.simplifyScalar(node, inputs);
      if (simpler !== undefined) return simpler;
    }
    if (op.trait === "reduce" && inputs[0].kind === "constant") return this.constant(node.shape, node.dtype, rounded(node.dtype, reduceConstant(op, inputs[0], node)));
    if (op.trait === "output" && this.expanded.has(inputs[0])) return this.expanded.get(inputs[0])![attrs.index as number];
    const needsKernel = op.trait === "opaque" || op.trait === "gather" || op.trait === "random";
    if (needsKernel && !this.target.supports(op, node.inputs, attrs, outputSpecs(node))) return this.expand(node, inputs);
    const recompute = op.trait === "output" ? undefined : node.recompute; // an output is told apart by its tuple; the same one may be read inside and outside
    const key = `${op.id} ${inputs.map((input) => this.table.id(input)).join()} ${attrsKey(attrs)} ${recompute}`;
    return this.make("op", op, attrs, inputs, node, node.outputs, 0, key);
  }

  private simplifyScalar(node: Node, inputs: readonly Value[]): Value | undefined {
    const { op, attrs } = node;
    if (inputs.every((input) => input.kind === "constant")) {
      const one = (dtype: DType, x: number) => ({ shape: [], dtype, data: Float64Array.of(x) });
      const out = one(node.dtype, 0);
      op.evaluate!(inputs.map((input) => one(input.dtype, input.constant)), attrs, [out]);
      return this.constant(node.shape, node.dtype, rounded(node.dtype, out.data[0]));
    }
    if (op.opcode === "where") return this.bounded(node, inputs);
    if (op.neutral === undefined || inputs.length !== 2) return undefined;
    const [a, b] = inputs;
    const drops = (x: Value, other: Value): boolean => x.kind === "constant" && x.constant === op.neutral!.value && sameShape(other.shape, node.shape) && other.dtype === node.dtype;
    if (drops(b, a)) return a;
    return op.neutral.side === "both" && drops(a, b) ? b : undefined;
  }

  private bounded(node: Node, inputs: readonly Value[]): Value | undefined {
    const found = boundedIn(inputs, node.shape);
    if (found === undefined) return undefined;
    const [x] = this.standIns([found.x]);
    const kept = (): Tensor => (found.keeps === "below" ? minimum(x, found.bound) : found.bound === 0 ? relu(x) : maximum(x, found.bound));
    return this.valueOf(recomputed(kept, node.recompute).node);
  }

  /** Tensors to record ops on values with. */
  private standIns(inputs: readonly Value[]): Tensor[] {
    return inputs.map((input) => {
      const standIn = leafNode(undefined, input.shape, input.dtype);
      this.byNode.set(standIn, input);
      return new Tensor(standIn);
    });
  }

  private readonly expanded = new Map<Value, readonly Value[]>();

  /** Records the composite definition on stand-ins for the inputs and takes its values. */
  private expand(node: Node, inputs: readonly Value[]): Value {
    if (node.op.composite === undefined) {
      throw new GraftError("backend", `${node.op.name}: this backend has no kernel for it (${node.inputs.map((x) => `${x.dtype} [${x.shape.join(", ")}]`).join("; ")}). Set GRAFT_BACKEND=reference, or cast to f32.`);
    }
    const outputs = recomputed(() => composed(node.op, this.standIns(inputs), node.attrs), node.recompute).map((tensor) => this.valueOf(tensor.node));
    if (node.outputs === undefined) return outputs[0];
    // It only stands for its outputs. In the table it would count as a reader of its inputs, which would then have to be stored.
    const tuple: Value = { kind: "op", op: node.op, attrs: node.attrs, inputs: [], shape: node.shape, dtype: node.dtype, outputs: node.outputs, origin: this.origin, constant: 0 };
    this.expanded.set(tuple, outputs);
    return tuple;
  }
}

/** Attributes as text; equal text means equal attributes. */
function attrsKey(attrs: Attrs): string {
  let key = "";
  for (const name in attrs) {
    const value = attrs[name];
    key += `${name}:${typeof value === "number" && value === 0 && 1 / value < 0 ? "-0" : String(value)};`;
  }
  return key;
}

/** A reduction of equal numbers: folds by doubling, so that a large shape costs nothing. */
function reduceConstant(op: Op, input: Value, output: Spec): number {
  const fold = (values: readonly number[]): number => {
    const out = { shape: [1], dtype: input.dtype, data: new Float64Array(1) };
    op.evaluate!([{ shape: [values.length], dtype: input.dtype, data: Float64Array.from(values) }], { dims: [0] }, [out]);
    return out.data[0];
  };
  let result = fold([]);
  let power = input.constant;
  for (let count = sizeOf(input.shape) / Math.max(1, sizeOf(output.shape)); count >= 1; count = Math.floor(count / 2)) {
    if (count % 2 === 1) result = fold([result, power]);
    power = fold([power, power]);
  }
  return result;
}

/** Whether a movement op leaves every element where it is. */
function isIdentityView(op: Op, attrs: Attrs, output: Spec): boolean {
  // probe with strides that no other view shares: primes apart, so equal strides and offset mean the same elements
  const strides = output.shape.map((_, d) => 1009 + 7919 * d);
  const view = op.view!({ shape: output.shape, strides, offset: 0 }, attrs, output);
  return view !== undefined && view.offset === 0 && sameShape(view.shape, output.shape) && view.strides.every((stride, d) => stride === strides[d] || output.shape[d] === 1);
}

