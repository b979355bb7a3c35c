import { GraftError } from "../base/index.js";
import { promote, showShape, sizeOf, type Shape, type Tensor } from "../graph/index.js";
import { matmul } from "./matmul.js";
import { expand, permute, reshape, slice } from "./movement.js";
import { asTensor, toFloat } from "./operand.js";
import { sum } from "./reduce.js";
import { cast, mul } from "./scalar.js";

/** A tensor whose dims have names: `labels[d]` names dim d. */
interface Labelled {
  readonly tensor: Tensor;
  readonly labels: readonly string[];
}

/** What an equation says once the ellipses are spelled out. */
export interface Subscripts {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

const fail = (equation: string, problem: string): GraftError => new GraftError("argument", `einsum: "${equation}": ${problem}`);

/** Splits one term ("b...ij") into labels; the dims of its ellipsis are called "...0", "...1", ... counted from the right. */
function parseTerm(equation: string, term: string, covered: number): string[] {
  const match = /^([a-zA-Z]*)(\.\.\.)?([a-zA-Z]*)$/.exec(term);
  if (match === null) throw fail(equation, `"${term}" is not a term. Use letters, and at most one "...".`);
  const dots = match[2] === undefined ? [] : Array.from({ length: covered }, (_, i) => `...${covered - 1 - i}`);
  return [...match[1], ...dots, ...match[3]];
}

/**
 * Reads an equation like "bij,bkj->bik". Without "->" the output has the dims of "..." and then, in alphabetical order, the labels that occur once.
 * @throws GraftError `argument` for what is not an equation, or does not fit the operands.
 */
export function parseEinsum(equation: string, shapes: readonly Shape[]): Subscripts {
  if (typeof equation !== "string") throw new GraftError("argument", `einsum: the equation is ${typeof equation}. Write einsum("ij,jk->ik", a, b).`);
  const [left, right, more] = equation.replace(/\s/g, "").split("->");
  if (more !== undefined) throw fail(equation, `it has more than one "->".`);
  const terms = left.split(",");
  if (terms.length !== shapes.length) throw fail(equation, `${terms.length} terms for ${shapes.length} operands. Write one term per operand, with commas between.`);
  let widest = 0;
  const inputs = terms.map((term, i) => {
    const letters = term.replace("...", "").length;
    const covered = shapes[i].length - letters;
    if (covered < 0 || (covered > 0 && !term.includes("..."))) throw fail(equation, `term "${term}" names ${letters} dims, operand ${i} is ${showShape(shapes[i])}. Name each dim, or cover some with "...".`);
    widest = Math.max(widest, covered);
    return parseTerm(equation, term, covered);
  });
  const all = inputs.flat();
  const output = right === undefined ? implicitOutput(all, widest) : parseTerm(equation, right, widest);
  for (const label of output) {
    if (!all.includes(label)) throw fail(equation, `the output label "${label}" is in no term.`);
    if (output.indexOf(label) !== output.lastIndexOf(label)) throw fail(equation, `the output names "${label}" twice.`);
  }
  return { inputs, output };
}

function implicitOutput(all: readonly string[], widest: number): string[] {
  const once = [...new Set(all)].filter((label) => label.length === 1 && all.indexOf(label) === all.lastIndexOf(label)).sort();
  return [...Array.from({ length: widest }, (_, i) => `...${widest - 1 - i}`), ...once];
}

/** The diagonal over a label that an operand names twice: the two dims are brought together and every (n + 1)-th element is taken. */
function takeDiagonals({ tensor, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, d) => labels.indexOf(label) < d);
  if (second < 0) return { tensor, labels };
  const first = labels.indexOf(labels[second]);
  const rest = labels.map((_, d) => d).filter((d) => d !== first && d !== second);
  const n = tensor.shape[first];
  const moved = permute(tensor, [...rest, first, second]); // [..., n, n]
  const lead = rest.map((d) => tensor.shape[d]);
  const diagonal = n === 0 ? reshape(moved, [...lead, 0]) : slice(reshape(moved, [...lead, n * n]), -1, 0, n, n + 1);
  return takeDiagonals({ tensor: diagonal, labels: [...rest.map((d) => labels[d]), labels[first]] });
}

/** Sums away the dims whose label is not wanted any more. */
function sumUnneeded({ tensor, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const dim = labels.flatMap((label, d) => (needed.has(label) ? [] : [d]));
  return dim.length === 0 ? { tensor, labels } : { tensor: sum(tensor, { dim }), labels: labels.filter((label) => needed.has(label)) };
}

/** Dims in the order of `labels`; a label that the operand lacks becomes a dim of size 1. */
function arrange(x: Labelled, labels: readonly string[]): Tensor {
  const present = labels.filter((label) => x.labels.includes(label));
  const ordered = permute(x.tensor, present.map((label) => x.labels.indexOf(label)));
  return reshape(ordered, labels.map((label) => (x.labels.includes(label) ? x.tensor.shape[x.labels.indexOf(label)] : 1)));
}

/** One step: a and b become one operand with the labels that are still needed, by a single batched matmul (or a product where nothing is summed). */
function contract(left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  const mine = new Set(left.labels);
  const other = new Set(right.labels);
  const a = sumUnneeded(left, new Set([...needed, ...other]));
  const b = sumUnneeded(right, new Set([...needed, ...mine]));
  const batch = a.labels.filter((label) => b.labels.includes(label) && needed.has(label));
  const inner = a.labels.filter((label) => b.labels.includes(label) && !needed.has(label));
  const rows = a.labels.filter((label) => !b.labels.includes(label));
  const columns = b.labels.filter((label) => !a.labels.includes(label));
  const labels = [...batch, ...rows, ...columns];
  if (inner.length === 0) return { tensor: mul(arrange(a, labels), arrange(b, labels)), labels };
  const sizes = (x: Labelled, names: readonly string[]): number[] => names.map((label) => x.tensor.shape[x.labels.indexOf(label)]);
  const [B, M, K, N] = [sizes(a, batch), sizes(a, rows), sizes(a, inner), sizes(b, columns)];
  const x = reshape(arrange(a, [...batch, ...rows, ...inner]), [...B, sizeOf(M), sizeOf(K)]); // [B..., M, K]
  const y = reshape(arrange(b, [...batch, ...inner, ...columns]), [...B, sizeOf(K), sizeOf(N)]); // [B..., K, N]
  return { tensor: reshape(matmul(x, y), [...B, ...M, ...N]), labels };
}

/** The size of every label. Size 1 stretches; such a dim is dropped from its operand, which broadcasts it. */
function unify(equation: string, operands: readonly Labelled[]): { sizes: Map<string, number>; operands: Labelled[] } {
  const sizes = new Map<string, number>();
  for (const { tensor, labels } of operands) {
    labels.forEach((label, d) => {
      const known = sizes.get(label) ?? 1;
      const size = tensor.shape[d];
      if (known !== 1 && size !== 1 && known !== size) throw new GraftError("shape", `einsum: "${equation}": label "${label}" has size ${known} in one place and ${size} in another (${operands.map((x) => showShape(x.tensor.shape)).join(", ")}). Equal labels need equal sizes.`);
      sizes.set(label, known === 1 ? size : known);
    });
  }
  const fitted = operands.map(({ tensor, labels }) => {
    const keep = labels.map((label, d) => tensor.shape[d] !== 1 || sizes.get(label) === 1);
    return { tensor: reshape(tensor, tensor.shape.filter((_, d) => keep[d])), labels: labels.filter((_, d) => keep[d]) };
  });
  return { sizes, operands: fitted };
}

/** The pair whose result is smallest compared to its operands (first found on a tie, so that the order is stable). */
function cheapestPair(operands: readonly Labelled[], output: readonly string[], sizes: ReadonlyMap<string, number>): [number, number] {
  let best: [number, number] = [0, 1];
  if (operands.length === 2) return best;
  let bestCost = Infinity;
  const size = (labels: Iterable<string>): number => [...labels].reduce((total, label) => total * (sizes.get(label) ?? 1), 1);
  for (let i = 0; i < operands.length; i++) {
    for (let j = i + 1; j < operands.length; j++) {
      const rest = new Set([...output, ...operands.flatMap((x, k) => (k === i || k === j ? [] : x.labels))]);
      const joint = new Set([...operands[i].labels, ...operands[j].labels]);
      const cost = size([...joint].filter((label) => rest.has(label))) - size(operands[i].labels) - size(operands[j].labels);
      if (cost < bestCost) [best, bestCost] = [[i, j], cost];
    }
  }
  return best;
}

/**
 * Sums of products over named dims (Einstein's convention): labels that the output lacks are summed. Any number of operands; a label
 * named twice in one term takes the diagonal; "..." stands for leading dims that broadcast; without "->" the labels that occur once
 * are the output, in alphabetical order. Each pair of operands becomes one batched matmul.
 * @throws GraftError `argument` for a malformed equation, `shape` when equal labels have different sizes.
 * @example F.einsum("bhqd,bhkd->bhqk", q, k); // attention scores
 */
export function einsum(equation: string, ...tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) throw new GraftError("argument", `einsum: no operands. Write einsum("ij,jk->ik", a, b).`);
  const dtype = tensors.map((x, i) => toFloat(asTensor("einsum", `operand ${i}`, x)).dtype).reduce(promote);
  const { inputs, output } = parseEinsum(equation, tensors.map((x) => x.shape));
  inputs.forEach((labels, i) => {
    const clash = labels.findIndex((label, d) => tensors[i].shape[labels.indexOf(label)] !== tensors[i].shape[d]);
    if (clash >= 0) throw new GraftError("shape", `einsum: "${equation}": operand ${i} is ${showShape(tensors[i].shape)}, but "${labels[clash]}" names two dims of it with different sizes. A diagonal needs equal sizes.`);
  });
  const diagonals = tensors.map((x, i) => takeDiagonals({ tensor: cast(x, dtype), labels: inputs[i] }));
  const unified = unify(equation, diagonals);
  let operands = unified.operands;
  while (operands.length > 1) {
    const [i, j] = cheapestPair(operands, output, unified.sizes);
    const others = operands.filter((_, k) => k !== i && k !== j);
    const needed = new Set([...output, ...others.flatMap((x) => x.labels)]);
    operands = [...others, contract(operands[i], operands[j], needed)];
  }
  const result = arrange(sumUnneeded(operands[0], new Set(output)), output);
  return expand(result, output.map((label) => unified.sizes.get(label) ?? 1));
}
