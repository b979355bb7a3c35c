import { GraftError } from "../base/index.js";
import { allocate, decode, encode, fromData, sameShape, showShape, Tensor, type DType, type Shape, type TypedArray } from "../graph/index.js";
import { assign, detach } from "../ops/index.js";

/** A value of plain JSON. */
export type Plain = number | string | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

/** A saved group: its options, and its parameters by number. */
export type SavedGroup = Readonly<Record<string, Plain>> & { readonly params: readonly number[] };

/** What `Optimizer.stateDict` returns: tensors for a safetensors file, the rest for JSON. */
export interface OptimizerState {
  readonly tensors: Map<string, Tensor>;
  readonly values: {
    /** Numbers per parameter. */
    readonly state: Readonly<Record<string, Readonly<Record<string, number>>>>;
    readonly paramGroups: readonly SavedGroup[];
  };
}

/** Host data as file readers return it. */
interface TensorData {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** What can be loaded: {@link OptimizerState}, with tensors or with host data. */
export interface StateSource {
  readonly tensors: ReadonlyMap<string, Tensor | TensorData> | Readonly<Record<string, Tensor | TensorData>>;
  readonly values: OptimizerState["values"];
}

type Group = { params: Tensor[] } & object;
type ParamState = Record<string, Tensor | number>;

const isPlain = (value: unknown): value is Plain => ["number", "string", "boolean"].includes(typeof value) || value === null || (Array.isArray(value) ? value.every(isPlain) : typeof value === "object" && value !== null && Object.values(value).every(isPlain));

export function writeState(groups: readonly Group[], states: ReadonlyMap<Tensor, ParamState>): OptimizerState {
  const tensors = new Map<string, Tensor>();
  const state: Record<string, Record<string, number>> = {};
  let index = 0;
  const paramGroups = groups.map((group): SavedGroup => {
    const options = Object.entries(group).filter(([name, value]) => name !== "params" && isPlain(value));
    const params = group.params.map((param) => {
      for (const [name, value] of Object.entries(states.get(param) ?? {})) {
        if (value instanceof Tensor) tensors.set(`${index}.${name}`, value);
        else (state[index] ??= {})[name] = value;
      }
      return index++;
    });
    return { ...(Object.fromEntries(options) as unknown as Record<string, Plain>), params };
  });
  return { tensors, values: { state, paramGroups } };
}

/** A copy in memory of its own. */
function copied(source: Tensor | TensorData): Tensor {
  const data = source instanceof Tensor ? source.node.value : source.data;
  if (data !== undefined) return fromData(data.slice(), source.shape, source.dtype);
  const copy = fromData(allocate(source.dtype, (source as Tensor).size), source.shape, source.dtype);
  assign(copy, detach(source as Tensor));
  return copy;
}

export function readState(name: string, source: StateSource, groups: Group[], states: Map<Tensor, ParamState>): void {
  const { state, paramGroups } = source.values;
  const problems: string[] = [];
  if (paramGroups.length !== groups.length) problems.push(`${paramGroups.length} parameter groups, but the optimizer has ${groups.length}`);
  const params = new Map<string, Tensor>();
  paramGroups.forEach((saved, g) => {
    const own = groups[g]?.params ?? [];
    if (own.length !== saved.params.length) problems.push(`group ${g} has ${saved.params.length} parameters, the optimizer's has ${own.length}`);
    saved.params.forEach((number, i) => own[i] && params.set(String(number), own[i]));
  });
  const fresh = new Map<Tensor, ParamState>();
  const stateOf = (number: string, what: string): ParamState | undefined => {
    const param = params.get(number);
    if (param === undefined) return void problems.push(`${what} belongs to parameter ${number}, which is in no group`);
    let found = fresh.get(param);
    if (found === undefined) fresh.set(param, (found = {}));
    return found;
  };
  for (const [number, values] of Object.entries(state)) {
    const target = stateOf(number, "a number");
    if (target) Object.assign(target, values);
  }
  const tensors = source.tensors instanceof Map ? source.tensors : new Map(Object.entries(source.tensors));
  for (const [key, tensor] of tensors as ReadonlyMap<string, Tensor | TensorData>) {
    const at = key.indexOf(".");
    const [number, label] = [key.slice(0, at), key.slice(at + 1)];
    const target = at > 0 ? stateOf(number, `"${key}"`) : void problems.push(`"${key}" is not <parameter number>.<name>`);
    if (target === undefined) continue;
    const current = states.get(params.get(number)!)?.[label];
    if (current instanceof Tensor && !sameShape(current.shape, tensor.shape)) problems.push(`"${key}" is ${showShape(tensor.shape)}, the optimizer has ${showShape(current.shape)}`);
    target[label] = copied(tensor);
  }
  if (problems.length > 0) throw new GraftError("state", `${name}.loadStateDict: the state does not fit:\n  ${problems.join("\n  ")}\nLoad a state saved with the same parameters in the same groups.`);
  states.clear();
  for (const [param, loaded] of fresh) states.set(param, loaded);
  paramGroups.forEach(({ params: _, ...options }, g) => Object.assign(groups[g], options));
}

/** Values of a tensor as f64, for optimisers that work on the host. */
export function hostValues(x: Tensor): Float64Array {
  return Float64Array.from(x.node.value!, (raw) => decode(x.dtype, raw));
}

/** A leaf with f64 values, stored as `dtype`. */
export function fromHost(values: Float64Array, shape: Shape, dtype: DType): Tensor {
  const data = allocate(dtype, values.length);
  for (let i = 0; i < data.length; i++) data[i] = encode(dtype, values[i]);
  return fromData(data, shape, dtype);
}
