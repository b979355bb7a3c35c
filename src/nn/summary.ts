import { noGrad, showShape, Tensor, type Shape } from "../graph/index.js";
import { getRandomState, setRandomState } from "../ops/index.js";
import type { Module } from "./module.js";

/** One module in a {@link Summary}. */
export interface SummaryRow {
  /** Path in the tree, "" for the model itself. */
  readonly path: string;
  /** Class name. */
  readonly type: string;
  /** Shape of the (first) output, where example inputs were given and the module was reached. */
  readonly output: Shape | undefined;
  /** Shapes of the module's own parameters by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Number of values in the module's own parameters. */
  readonly parameters: number;
}

/** What `Module.summary` returns; `String(summary)` is a table. */
export interface Summary {
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly trainable: number;
  /** Bytes of parameters and buffers. */
  readonly bytes: number;
  toString(): string;
}

const count = (n: number): string => n.toLocaleString("en-US");

/** Output shapes of all modules: the forward pass is recorded in evaluation mode and thrown away. */
function outputShapes(module: Module, inputs: readonly unknown[]): Map<Module, Shape> {
  const shapes = new Map<Module, Shape>();
  const modules = module.modules();
  const training = modules.map((m) => m.training);
  const random = getRandomState();
  const remove = modules.map((m) =>
    m.registerForwardHook((self, _, output) => {
      const first: unknown = Array.isArray(output) ? output[0] : output;
      if (first instanceof Tensor) shapes.set(self, first.shape);
    }),
  );
  try {
    module.eval();
    noGrad(() => (module.forward as (...args: unknown[]) => unknown)(...inputs));
  } finally {
    remove.forEach((off) => off());
    modules.forEach((m, i) => (m.training = training[i]));
    setRandomState(random);
  }
  return shapes;
}

/** Builds the table behind `Module.summary`. */
export function summarize(module: Module, inputs: readonly unknown[]): Summary {
  const outputs = inputs.length > 0 ? outputShapes(module, inputs) : new Map<Module, Shape>();
  const seen = new Set<Tensor>();
  const rows = [...module.namedModules()].map(([path, m]): SummaryRow => {
    const own = [...m.ownTensors().parameters].filter(([, p]) => !seen.has(p));
    own.forEach(([, p]) => seen.add(p));
    return { path, type: m.constructor.name, output: outputs.get(m), shapes: Object.fromEntries(own.map(([name, p]) => [name, p.shape])), parameters: own.reduce((n, [, p]) => n + p.size, 0) };
  });
  const all = module.parameters();
  const parameters = all.reduce((n, p) => n + p.size, 0);
  const trainable = all.reduce((n, p) => n + (p.requiresGrad ? p.size : 0), 0);
  const bytes = [...all, ...module.buffers()].reduce((n, t) => n + t.nbytes, 0);
  return { rows, parameters, trainable, bytes, toString: () => table(rows, inputs.length > 0, parameters, trainable, bytes) };
}

function table(rows: readonly SummaryRow[], withOutput: boolean, parameters: number, trainable: number, bytes: number): string {
  const lines = [["layer", "type", ...(withOutput ? ["output"] : []), "parameters", "shapes"]];
  for (const row of rows) {
    const shapes = Object.entries(row.shapes).map(([name, shape]) => `${name} ${showShape(shape)}`);
    lines.push([row.path || "(model)", row.type, ...(withOutput ? [row.output ? showShape(row.output) : ""] : []), row.parameters > 0 ? count(row.parameters) : "", shapes.join(", ")]);
  }
  const numeric = withOutput ? 3 : 2;
  const widths = lines[0].map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  const text = lines.map((line) => line.map((cell, c) => (c === numeric ? cell.padStart(widths[c]) : cell.padEnd(widths[c]))).join("  ").trimEnd());
  return [...text, `${count(parameters)} parameters, ${count(trainable)} trainable, ${count(bytes)} bytes`].join("\n");
}
