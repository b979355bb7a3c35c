import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { tensor, type Shape, type Tensor, type TypedArray } from "graftml";
import { readSafetensors, type HostTensor } from "../../src/io/index.js";

/** An argument of a call: a tensor by key, several of them, or plain JSON (which may hold `{ tensor: key }`). */
export type GoldenArg = { readonly tensor: string } | { readonly tensors: readonly string[] } | { readonly value: unknown };

/** All tensors of a golden file by key. */
export type StoredTensors = ReadonlyMap<string, HostTensor>;

/** One case of `ops/ops.json`. */
export interface OpCase {
  readonly id: string;
  readonly call: string;
  readonly args: readonly GoldenArg[];
  readonly outputs: readonly string[];
  readonly multiple?: boolean;
  readonly rtol: number;
  readonly atol: number;
  /** Keys of the cotangents: `<id>/cot<i>` belongs to `<id>/out<i>`. */
  readonly cotangents?: readonly string[];
  /** Gradient keys by input key. */
  readonly grads?: Readonly<Record<string, string>>;
}

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Path of a file in `test/golden`. */
export const goldenPath = (name: string): string => `${folder}${name}`;

/** JSON and tensors of one golden set: `readGolden("ops/ops")` reads `ops/ops.json` and `ops/ops.safetensors`. */
export async function readGolden<T>(name: string): Promise<{ json: T; tensors: StoredTensors }> {
  const json = JSON.parse(readFileSync(goldenPath(`${name}.json`), "utf8")) as T;
  return { json, tensors: await readSafetensors(goldenPath(`${name}.safetensors`)) };
}

/** A stored tensor by key; throws when it is missing. */
export function stored(tensors: StoredTensors, key: string): HostTensor {
  const found = tensors.get(key);
  if (found === undefined) throw new Error(`golden: no tensor "${key}"`);
  return found;
}

/** What differs between `actual` and the stored tensor by |a - b| <= atol + rtol |b|; undefined when nothing does. A stored [1] also stands for a scalar. */
export function difference(name: string, actual: TypedArray, shape: Shape, expected: { readonly shape: Shape; readonly data: TypedArray }, rtol: number, atol: number): string | undefined {
  const want = expected.shape;
  const scalar = shape.length === 0 && want.length === 1 && want[0] === 1;
  if (!scalar && shape.join() !== want.join()) return `${name}: shape [${shape.join(", ")}], expected [${want.join(", ")}]`;
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [actual[i], expected.data[i]];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!(Math.abs(a - b) <= atol + rtol * Math.abs(b))) return `${name}[${i}]: ${a}, expected ${b}`;
  }
  return undefined;
}

/** The arguments of a case as tensors, new ones at every call. */
export interface Prepared {
  readonly args: unknown[];
  /** The tensors among them, by key. */
  readonly leaves: ReadonlyMap<string, Tensor>;
}

/** Options of {@link prepare}. */
export interface PrepareOptions {
  /** The dtype of all float inputs. */
  readonly dtype?: "f32" | "f64";
  /** Whether the inputs that have a gradient in the case are made with requiresGrad. */
  readonly requiresGrad?: boolean;
  /** Values or tensors to use instead of the stored ones. */
  readonly replace?: ReadonlyMap<string, TypedArray | Tensor>;
}

/** Builds the arguments of a case from the stored tensors. */
export function prepare(test: OpCase, tensors: StoredTensors, { dtype = "f32", requiresGrad = false, replace }: PrepareOptions = {}): Prepared {
  const leaves = new Map<string, Tensor>();
  const leaf = (key: string): Tensor => {
    const given = replace?.get(key);
    if (given !== undefined && !ArrayBuffer.isView(given)) {
      leaves.set(key, given);
      return given;
    }
    const { data, shape, dtype: from } = stored(tensors, key);
    const values = given ?? data;
    const isInput = from === "f32";
    const made = tensor(isInput && dtype === "f64" ? Float64Array.from(values) : values.slice(), {
      dtype: isInput ? dtype : from,
      shape,
      requiresGrad: requiresGrad && key in (test.grads ?? {}),
    });
    leaves.set(key, made);
    return made;
  };
  const value = (json: unknown): unknown => {
    if (Array.isArray(json)) return json.map(value);
    if (json === null || typeof json !== "object") return json;
    const entries = Object.entries(json);
    if (entries.length === 1 && entries[0][0] === "tensor") return leaf(entries[0][1] as string);
    return Object.fromEntries(entries.map(([key, inner]) => [key, value(inner)]));
  };
  const args = test.args.map((arg) => ("tensor" in arg ? leaf(arg.tensor) : "tensors" in arg ? arg.tensors.map(leaf) : value(arg.value)));
  return { args, leaves };
}
