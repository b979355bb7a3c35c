import { allocate, encode, type DType, type TypedArray } from "../../../graph/index.js";
import { onnxTypeCodes, type HostTensor, type OnnxAttribute, type OnnxConstant, type OnnxModel, type OnnxNode, type OnnxType, type OnnxValueInfo } from "../../../io/index.js";
import type { SymbolicSpec } from "./align.js";
import { sameSize, showSize, type Axis, type Size } from "./size.js";

/** A value of the ONNX graph. */
export interface Value extends SymbolicSpec {
  readonly name: string;
  /** The value that this one is a reshape of: what works on rows may work on that instead. */
  readonly source?: Value;
}

type Attributes = Readonly<Record<string, OnnxAttribute>>;

export const int = (value: number): OnnxAttribute => ({ type: "int", value });
export const float = (value: number): OnnxAttribute => ({ type: "float", value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ type: "ints", value });
export const text = (value: string): OnnxAttribute => ({ type: "string", value });

/** The attribute of Cast. */
export const to = (type: OnnxType): Attributes => ({ to: int(onnxTypeCodes[type]) });

function transpose(data: TypedArray, rows: number, columns: number): TypedArray {
  const turned = data.slice();
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j];
  return turned;
}

/** Collects nodes and constants; equal computations become one. */
export class GraphBuilder {
  private nodes: OnnxNode[] = [];
  private readonly constants = new Map<string, OnnxConstant>();
  private readonly made = new Map<string, readonly string[]>();
  private readonly counts = new Map<string, number>();
  private readonly inputs: OnnxValueInfo[] = [];
  /** The module whose operations are written: the first part of names. */
  path = "";

  constructor(private readonly axes: readonly Axis[]) {}

  private unique(name: string): string {
    const count = this.counts.get(name) ?? 0;
    this.counts.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }

  /** An operation; returns the names of its outputs. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, outputs = 1): readonly string[] {
    const key = `${op} ${inputs.join(" ")} ${JSON.stringify(attributes)} ${outputs}`;
    const found = this.made.get(key);
    if (found !== undefined) return found;
    const name = this.unique(`${this.path === "" ? "" : `/${this.path}`}/${op}`);
    const names = outputs === 1 ? [name] : Array.from({ length: outputs }, (_, i) => `${name}:${i}`);
    this.nodes.push({ name, op, inputs, outputs: names, attributes });
    this.made.set(key, names);
    return names;
  }

  /** An operation with one output of a known shape and dtype. */
  value(op: string, inputs: readonly (Value | string)[], { shape, dtype }: SymbolicSpec, attributes: Attributes = {}): Value {
    const [name] = this.node(op, inputs.map((input) => (typeof input === "string" ? input : input.name)), attributes);
    return { name, shape, dtype };
  }

  /** The dtype of a value changed. */
  cast(x: Value, dtype: DType): Value {
    return x.dtype === dtype ? x : this.value("Cast", [x], { shape: x.shape, dtype }, to(dtype));
  }

  /** A given input of the graph. */
  input(name: string, type: OnnxType, shape: readonly Size[]): void {
    this.counts.set(name, 1);
    this.inputs.push({ name, type, shape: shape.map((size) => showSize(size, this.axes)) });
  }

  /** A weight under its own name. */
  weight(name: string, tensor: HostTensor): Value {
    const own = this.unique(name);
    this.constants.set(own, tensor);
    return { name: own, shape: tensor.shape, dtype: tensor.dtype };
  }

  /** A weight stored transposed; undefined where the value is no weight. */
  transposed(x: Value): Value | undefined {
    const tensor = this.constants.get(x.name);
    if (tensor === undefined || tensor.dtype === "i64") return undefined;
    const { dtype, shape: [rows, columns], data } = tensor as HostTensor;
    const shape = [columns, rows];
    const name = this.unique(`${x.name}.T`);
    this.constants.set(name, { dtype, shape, data: () => Promise.resolve(transpose(data, rows, columns)) });
    return { name, shape, dtype };
  }

  /** A constant that is no weight; small ones of equal content are one. */
  tensor(tensor: HostTensor): Value {
    const { dtype, shape, data } = tensor;
    const name = data.length > 64 ? this.weight(`constant/${dtype}`, tensor).name : this.constant(`${dtype}[${shape.join()}]=${data.join()}`, () => tensor);
    return { name, shape, dtype };
  }

  /** A constant by its content. */
  private constant(key: string, make: () => OnnxConstant): string {
    const found = this.made.get(key);
    if (found !== undefined) return found[0];
    const name = this.unique(`constant/${key}`.slice(0, 60));
    this.constants.set(name, make());
    this.made.set(key, [name]);
    return name;
  }

  /** One number. */
  scalar(value: number, dtype: DType): Value {
    return this.tensor({ dtype, shape: [], data: allocate(dtype, 1).fill(encode(dtype, value)) });
  }

  /** A list of fixed 64-bit integers. */
  private fixed(values: readonly number[]): string {
    return this.constant(`i64[${values.length}]=${values.join()}`, () => ({ dtype: "i64", shape: [values.length], data: BigInt64Array.from(values, BigInt) }));
  }

  /** A size as a list of one: fixed, or worked out from the shape of the first input, whose dims begin with the axes. */
  size(size: Size): string {
    if (typeof size === "number") return this.fixed([size]);
    const { path } = this;
    this.path = "shape"; // shared by all modules
    const axis = (i: number): string => {
      const input = this.inputs.find(({ shape }) => shape.includes(this.axes[i].name))!;
      const dim = input.shape.indexOf(this.axes[i].name);
      return this.node("Shape", [input.name], { start: int(dim), end: int(dim + 1) })[0];
    };
    let total: string | undefined;
    size.terms.forEach((term, m) => {
      if (term === 0) return;
      let product: string | undefined = term === 1 && m > 0 ? undefined : this.fixed([term]);
      this.axes.forEach((_, i) => {
        if (m & (1 << i)) product = product === undefined ? axis(i) : this.node("Mul", [product, axis(i)])[0];
      });
      total = total === undefined ? product! : this.node("Add", [total, product!])[0];
    });
    this.path = path;
    return total!;
  }

  /** Sizes as a list: runs of fixed ones are one constant. */
  sizes(sizes: readonly Size[]): string {
    const parts: string[] = [];
    for (let i = 0; i < sizes.length; ) {
      let end = i;
      while (end < sizes.length && typeof sizes[end] === "number") end++;
      parts.push(end > i ? this.fixed(sizes.slice(i, end) as number[]) : this.size(sizes[end++]));
      i = end;
    }
    if (parts.length === 0) return this.fixed([]);
    return parts.length === 1 ? parts[0] : this.node("Concat", parts, { axis: int(0) })[0];
  }

  /** A reshape, with its sizes fixed (0: as in the input, -1: what is left) wherever that is enough. */
  reshape(x: Value, shape: readonly Size[]): Value {
    const base = x.source ?? x;
    const same = base.shape.length === shape.length && shape.every((size, d) => sameSize(size, base.shape[d]));
    if (same) return base;
    const simple = shape.map((size, d) => (typeof size === "number" ? size : d < base.shape.length && sameSize(size, base.shape[d]) ? 0 : -1));
    const enough = simple.filter((n) => n === -1).length <= 1 && !shape.includes(0);
    const [name] = this.node("Reshape", [base.name, enough ? this.fixed(simple) : this.sizes(shape)]);
    return { name, shape, dtype: x.dtype, source: base };
  }

  /** The graph that makes `outputs`: what nothing reads is left out. */
  finish(outputs: ReadonlyMap<string, Value>): Pick<OnnxModel, "nodes" | "constants" | "inputs" | "outputs"> {
    this.path = "";
    const renamed = new Map<string, string>();
    for (const [name, value] of outputs) {
      const own = this.nodes.some((node) => node.outputs.includes(value.name)) && !renamed.has(value.name);
      if (own) renamed.set(value.name, name);
      else this.nodes.push({ name: this.unique("/Identity"), op: "Identity", inputs: [value.name], outputs: [name] });
    }
    const needed = new Set([...outputs].map(([name, value]) => (renamed.get(value.name) === name ? value.name : name)));
    const kept = [...this.nodes].reverse().filter((node) => {
      if (!node.outputs.some((output) => needed.has(output))) return false;
      for (const input of node.inputs) needed.add(input);
      return true;
    });
    const rename = (names: readonly string[]): string[] => names.map((name) => renamed.get(name) ?? name);
    const nodes = kept.reverse().map((node) => ({ ...node, inputs: rename(node.inputs), outputs: rename(node.outputs) }));
    const infos = [...outputs].map(([name, { shape, dtype }]): OnnxValueInfo => ({ name, type: dtype, shape: shape.map((size) => showSize(size, this.axes)) }));
    return { nodes, constants: new Map([...this.constants].filter(([name]) => needed.has(name))), inputs: this.inputs, outputs: infos };
  }
}
