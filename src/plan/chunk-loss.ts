import { bytesPerElement, record, recordMany, sizeOf, type Tensor } from "../graph/index.js";
import { add, cat, div, labelLossBackwardOp, labelLossOp, mul, narrow, ones, reshape, sum, transpose, type LabelLossAttrs } from "../ops/index.js";
import { isMovement, type Wanted } from "./place.js";
import { recorded } from "./record.js";
import { rewrite } from "./rewrite.js";
import { swapsLastTwo } from "./transpose.js";
import type { Value } from "./value.js";

/** Logits that are formed at a time, and the fewest rows of them: every chunk reads the whole projection. */
const chunkBytes = 32 << 20;
const leastRows = 264; // whole panels of every micro-kernel

/** Rows of a value [N, V], or of its transpose. */
interface Seen {
  readonly base: Value;
  readonly turned: boolean;
}

/** What reads the gradient of the logits: how its chunks follow from those of the gradient, and how they are joined. */
interface Reader {
  readonly value: Value;
  readonly other: Value | undefined;
  readonly chunk: (gradient: Tensor, other: Tensor | undefined, first: number, rows: number) => Tensor;
  /** The dim along which chunks lie side by side; undefined: they are added up. */
  readonly along: number | undefined;
}

/** Logits of a projection that only a cross entropy and its gradient read. */
interface Found {
  readonly loss: Value;
  readonly x: Value;
  readonly weight: Value;
  readonly bias: Value | undefined;
  readonly product: Value;
  readonly backward: Value | undefined;
  readonly readers: readonly Reader[];
}

/**
 * Cross entropy of a projection onto many classes (a language model's head), chunk of rows by chunk: logits, loss, their gradient, and what follows from
 * it for the rows and for the weight. So neither the logits [rows, classes] nor their gradient are ever whole in memory. The gradient of a row's loss is
 * formed for a total loss of gradient 1, and what was summed up is scaled by the real one (and by 1 over the labels' weight, for a mean) at the end.
 *
 * Applies where nobody else reads the logits and they are much larger than a chunk. Chunks follow from sizes only.
 */
export function chunkLosses(values: readonly Value[], wanted: Wanted): { values: readonly Value[]; wanted: Wanted } {
  const candidates = values.filter(isLarge);
  if (candidates.length === 0) return { values, wanted };
  const users = liveUsers(values, wanted);
  const index = new Map(values.map((value, i) => [value, i]));
  const all = candidates.map((loss) => find(loss, users, index)).filter((found) => found !== undefined);
  const byLoss = new Map(all.map((found) => [found.loss, found]));
  const byReader = new Map(all.flatMap((found) => found.readers.map((reader, i) => [reader.value, { found, i }] as const)));
  const totals = new Map<Value, Chunked>();
  return rewrite(values, wanted, (value, { now, add: put }) => {
    const own = byLoss.get(value);
    if (own !== undefined) totals.set(value, emitChunks(own, now, put));
    if (value.op.trait === "output") return [totals.get(value.inputs[0])?.loss, totals.get(value.inputs[0])?.weight][value.attrs.index as number];
    const read = byReader.get(value);
    if (read === undefined) return undefined;
    const { weight, results } = totals.get(read.found.loss)!;
    const mean = attrsOf(read.found.loss).reduction === "mean";
    const [scaled] = recorded([results[read.i], now(read.found.backward!.inputs[4]), weight], value.origin, put, ([result, gradient, total]) => [
      reshape(mul(result, mean ? div(gradient, total) : gradient), value.shape),
    ]);
    return scaled;
  });
}

const attrsOf = (loss: Value): LabelLossAttrs => loss.attrs as LabelLossAttrs;

const chunkCount = ([rows, classes]: readonly number[], bytes: number): number => Math.floor(rows / Math.max(leastRows, Math.floor(chunkBytes / (classes * bytes))));

function isLarge(value: Value): boolean {
  if ((value.op as unknown) !== labelLossOp || value.kind !== "op") return false;
  const [logits, target] = value.inputs;
  const { name, reduction } = attrsOf(value);
  return logits.shape.length === 2 && name === "crossEntropy" && reduction !== "none" && target.shape.length === 1 && chunkCount(logits.shape, bytesPerElement(logits.dtype)) >= 2;
}

/** Who reads a value, of those that lead to something wanted. */
function liveUsers(values: readonly Value[], wanted: Wanted): Map<Value, Value[]> {
  const users = new Map<Value, Value[]>([...wanted.outputs, ...wanted.assignments.map(({ value }) => value)].map((value) => [value, []]));
  const ends = new Set(users.keys());
  for (let i = values.length - 1; i >= 0; i--) {
    if (!users.has(values[i])) continue;
    for (const input of new Set(values[i].inputs)) (users.get(input) ?? users.set(input, []).get(input)!).push(values[i]);
  }
  for (const end of ends) users.get(end)!.push(end); // read from outside
  return users;
}

const keepsRows = (value: Value): boolean => isMovement(value) && value.op.name === "reshape" && value.shape.at(-1) === value.inputs[0].shape.at(-1);
const isTurn = (value: Value): boolean => value.shape.length === 2 && swapsLastTwo(value);

/** Looks through reshapes of the leading dims and through transposes. */
function seen(value: Value): Seen {
  if (keepsRows(value)) return seen(value.inputs[0]);
  if (!isTurn(value)) return { base: value, turned: false };
  const { base, turned } = seen(value.inputs[0]);
  return { base, turned: !turned };
}

/** All that read a value as it is or through such views of it, which come with it. */
function readersOf(value: Value, users: ReadonlyMap<Value, readonly Value[]>): { user: Value; via: Value }[] {
  return (users.get(value) ?? []).flatMap((user) => (user !== value && (keepsRows(user) || isTurn(user)) ? readersOf(user, users) : [{ user, via: value }]));
}

function find(loss: Value, users: ReadonlyMap<Value, readonly Value[]>, index: ReadonlyMap<Value, number>): Found | undefined {
  const logits = seen(loss.inputs[0]);
  const classes = loss.inputs[0].shape[1];
  let product = logits.base;
  let bias: Value | undefined;
  if (product.op.opcode === "add" && product.kind === "op") {
    bias = product.inputs.find(({ shape }) => sizeOf(shape) === classes && shape.at(-1) === classes);
    if (bias === undefined) return undefined;
    product = product.inputs[product.inputs[0] === bias ? 1 : 0];
  }
  if (logits.turned || product.kind !== "op" || product.op.trait !== "contract" || product.inputs.length !== 2 || product.dtype !== loss.inputs[0].dtype) return undefined;
  const [x, weight] = product.inputs;
  if (x.kind === "constant" || weight.kind === "constant" || x.dtype !== product.dtype || weight.shape.length !== 2 || sizeOf(x.shape.slice(0, -1)) !== loss.inputs[0].shape[0]) return undefined;

  // Of the logits, nobody but the loss and one gradient; of the loss's further outputs, nobody but that gradient.
  const tuples = users.get(loss) ?? [];
  const readers = readersOf(logits.base, users).map(({ user }) => user);
  if (bias !== undefined) readers.push(...readersOf(product, users).map(({ user }) => user).filter((user) => user !== logits.base));
  const backwards = new Set([...readers, ...tuples.filter(({ attrs }) => attrs.index !== 0).flatMap((output) => users.get(output) ?? [])].filter((user) => user !== loss));
  const [backward] = backwards;
  if (backwards.size > 1 || (backward !== undefined && (backward.op as unknown) !== labelLossBackwardOp)) return undefined;
  if (backward !== undefined && (backward.inputs[0] !== loss.inputs[0] || backward.inputs[1] !== loss.inputs[1] || backward.inputs[4].shape.length > 0)) return undefined;

  const known = backward === undefined ? [] : readersOf(backward, users).map(({ user, via }) => asReader(user, via));
  const isEarly = (value: Value): boolean => (index.get(value) ?? Infinity) < index.get(loss)! || (isMovement(value) && isEarly(value.inputs[0]));
  if (known.some((reader) => reader === undefined || (reader.other !== undefined && !isEarly(reader.other)))) return undefined;
  return { loss, x, weight, bias, product, backward, readers: known.map((reader) => reader!) };
}

/** How a value follows from the rows of the gradient, which it sees as `via`; undefined where it is none of the products and sums of a projection's gradient. */
function asReader(value: Value, via: Value): Reader | undefined {
  if (value.kind !== "op") return undefined;
  const { turned } = seen(via);
  const rank = via.shape.length;
  if (value.op.name === "sum" && value.op.trait === "reduce") {
    const dims = value.attrs.dims as readonly number[];
    const rows = !turned && dims.length === rank - 1 && !dims.includes(rank - 1);
    return rows ? { value, other: undefined, chunk: (gradient) => sum(gradient, { dim: 0 }), along: undefined } : undefined;
  }
  const [a, b] = value.inputs;
  if (value.op.trait !== "contract" || value.inputs.length !== 2 || a === b || a.dtype !== value.dtype || b.shape.length !== 2 || (via === b && a.shape.length !== 2)) return undefined;
  const times = (left: Tensor, right: Tensor): Tensor => record(value.op, [left, right]);
  if (via === a && !turned) return { value, other: b, chunk: (gradient, other) => times(gradient, other!), along: 0 };
  if (via === a) return { value, other: b, chunk: (gradient, other, first, rows) => times(transpose(gradient), narrow(other!, 0, first, rows)), along: undefined };
  if (!turned) return { value, other: a, chunk: (gradient, other, first, rows) => times(narrow(other!, 1, first, rows), gradient), along: undefined };
  return { value, other: a, chunk: (gradient, other) => times(other!, transpose(gradient)), along: 1 };
}

interface Chunked {
  readonly loss: Value;
  /** The sum of the labels' weights. */
  readonly weight: Value;
  /** For each reader, for a gradient of 1 of the summed loss. */
  readonly results: readonly Value[];
}

function emitChunks({ loss, x, weight, bias, product, readers }: Found, now: (value: Value) => Value, put: (value: Value) => void): Chunked {
  const early = (value: Value): Value => {
    if (now(value) !== value || !isMovement(value)) return now(value);
    const moved = { ...value, inputs: value.inputs.map(early) };
    put(moved);
    return moved;
  };
  const [N, classes] = loss.inputs[0].shape;
  const others = readers.flatMap(({ other }) => (other === undefined ? [] : [early(other)]));
  const inputs = [now(x), now(weight), ...loss.inputs.slice(1).map(now), ...(bias ? [now(bias)] : []), ...others];
  const [cost, total, ...results] = recorded(inputs, loss.origin, put, ([rows, projection, target, ...rest], settle) => {
    const classWeight = loss.inputs.length > 2 ? [rest.shift()!] : [];
    const shift = bias && reshape(rest.shift()!, [classes]);
    const beside = readers.map(({ other }) => (other === undefined ? undefined : rest.shift()!));
    const flat = reshape(rows, [N, x.shape.at(-1)!]);
    const unit = ones([], { dtype: product.dtype });
    const count = chunkCount([N, classes], bytesPerElement(product.dtype));
    const parts: Tensor[][] = readers.map(() => []); // chunks, or one running sum
    let [cost, total]: (Tensor | undefined)[] = [];
    for (let i = 0; i < count; i++) {
      const first = Math.floor((i * N) / count);
      const n = Math.floor(((i + 1) * N) / count) - first;
      const plain = record(product.op, [narrow(flat, 0, first, n), projection]);
      const logits = shift ? add(plain, shift) : plain;
      const attrs: LabelLossAttrs = { ...attrsOf(loss), reduction: "sum", firstRow: attrsOf(loss).firstRow + first };
      const labels = narrow(target, 0, first, n);
      const [ownCost, ownTotal, stats] = recordMany(labelLossOp, [logits, labels, ...classWeight], attrs);
      settle((cost = cost ? add(cost, ownCost) : ownCost));
      settle((total = total ? add(total, ownTotal) : ownTotal));
      if (readers.length === 0) continue;
      const gradient = record(labelLossBackwardOp, [logits, labels, ownTotal, stats, unit, ...classWeight], attrs);
      readers.forEach(({ chunk, along }, r) => {
        const piece = chunk(gradient, beside[r], first, n);
        if (along === undefined && i > 0) parts[r] = [add(parts[r][0], piece)];
        else parts[r].push(piece);
        if (along !== undefined || i < count - 1) settle(parts[r].at(-1)!); // the last sum may go on into what reads it
      });
    }
    const joined = parts.map((pieces, r) => (readers[r].along === undefined ? pieces[0] : cat(pieces, readers[r].along)));
    return [attrsOf(loss).reduction === "mean" ? div(cost!, total!) : cost!, total!, ...joined];
  });
  return { loss: cost, weight: total, results };
}
