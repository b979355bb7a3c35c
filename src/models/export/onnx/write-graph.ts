import type { OnnxModel, OnnxType } from "../../../io/index.js";
import { untiedState } from "../../text/weights.js";
import { traceProgram } from "./align.js";
import { GraphBuilder, to, type Value } from "./builder.js";
import { imageOps } from "./image-ops.js";
import { indexOps } from "./index-ops.js";
import { movementOps } from "./movement-ops.js";
import { cannotWrite } from "./problem.js";
import type { Translators } from "./ops.js";
import type { Program, Vocabulary } from "./record.js";
import { reduceOps } from "./reduce-ops.js";
import { scalarOps } from "./scalar-ops.js";

const translators: Translators = { ...scalarOps, ...movementOps, ...reduceOps, ...indexOps, ...imageOps };

/** Ops that are refused for a reason. */
const reasons: Readonly<Record<string, string>> = {
  quantLinear: "the matrix is stored in few bits, which the file cannot hold. Make an ordinary one of it first (F.dequantize)",
  random: "it is random, and a model that is exported must give the same result every time. Leave it out in evaluation mode (this.training)",
};

/** The ops that can be written, and why others are refused. */
export const vocabulary: Vocabulary = { has: (op) => Object.hasOwn(translators, op), refusal: (op) => reasons[op] };

/** ONNX takes whole numbers as 64-bit integers, as Hugging Face's exports do. */
const inputType = (dtype: Program["inputs"][number]["dtype"]): OnnxType => (dtype === "i32" ? "i64" : dtype);

/**
 * The ONNX graph of a program: it is recorded, and each recorded op is written by its translator.
 *
 * Throws `config` for an op that has no translator, naming the module that uses it, and for a `forward` that is not one graph for all sizes.
 */
export function graphOf(program: Program): Pick<OnnxModel, "nodes" | "constants" | "inputs" | "outputs"> {
  const graph = traceProgram(program, vocabulary);
  const builder = new GraphBuilder(program.axes);
  const names = new Map([...untiedState(program.model)].map(([name, tensor]) => [tensor.node, name]));
  const given = program.inputs.map(({ name, dtype, shape }): Value => {
    builder.input(name, inputType(dtype), shape);
    const value = { name, dtype, shape };
    return inputType(dtype) === dtype ? value : builder.value("Cast", [name], value, to(dtype));
  });
  const uses = new Array<number>(graph.nodes.length).fill(0);
  for (const { inputs } of graph.nodes) for (const input of inputs) uses[input]++;
  for (const output of graph.outputs) uses[output]++;

  const values: (readonly (Value | undefined)[])[] = [];
  for (const { node, inputs, given: place, path, attrs, outputs } of graph.nodes) {
    builder.path = path;
    const read = (input: number): Value => {
      const [value] = values[input];
      if (value === undefined) throw cannotWrite(graph.nodes[input].node.op.name, graph.nodes[input].path, "this output of it has no counterpart in ONNX");
      return value;
    };
    if (place !== undefined) values.push([given[place]]);
    else if (node.value !== undefined) {
      const tensor = { dtype: node.dtype, shape: node.shape, data: node.value };
      const name = names.get(node);
      values.push([name === undefined ? builder.tensor(tensor) : builder.weight(name, tensor)]);
    } else if (node.op.trait === "output") values.push([values[inputs[0]][attrs.index as number]]);
    else {
      const result = translators[node.op.name]({ builder, node, path, inputs: inputs.map(read), attrs, outputs, sole: inputs.map((input) => uses[input] === 1) });
      values.push(Array.isArray(result) ? (result as readonly (Value | undefined)[]) : [result as Value]);
    }
  }
  return builder.finish(new Map(program.outputs.map((name, i) => [name, values[graph.outputs[i]][0]!])));
}
