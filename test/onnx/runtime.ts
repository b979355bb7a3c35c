import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

/** A tensor for or from ONNX Runtime. */
export interface Fed {
  readonly type: "i64" | "f32";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** A tensor that came out. */
export interface Result {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Runs a file with each of the given inputs; the outputs by name. */
export type RunOnnx = (file: string, feeds: readonly Readonly<Record<string, Fed>>[]) => Promise<readonly Readonly<Record<string, Result>>[]>;

interface NodeTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}
interface NodeRuntime {
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => NodeTensor;
  readonly InferenceSession: {
    create(file: string, options: object): Promise<{ run(feeds: Readonly<Record<string, NodeTensor>>): Promise<Readonly<Record<string, NodeTensor>>> }>;
  };
}

/** onnxruntime-node: installed here, anywhere above, or in the folder that GRAFT_ONNXRUNTIME names. */
function fromNode(): RunOnnx | undefined {
  const places = [import.meta.dirname, ...(process.env.GRAFT_ONNXRUNTIME === undefined ? [] : [process.env.GRAFT_ONNXRUNTIME])];
  for (const place of places) {
    try {
      const { Tensor, InferenceSession } = createRequire(join(place, "package.json"))("onnxruntime-node") as NodeRuntime;
      return async (file, feeds) => {
        const session = await InferenceSession.create(file, { logSeverityLevel: 3, intraOpNumThreads: 1 });
        const results = [];
        for (const feed of feeds) {
          const tensors = Object.entries(feed).map(([name, { type, shape, data }]) => [name, type === "i64" ? new Tensor("int64", BigInt64Array.from(data, BigInt), shape) : new Tensor("float32", Float32Array.from(data), shape)] as const);
          const outputs = await session.run(Object.fromEntries(tensors));
          results.push(Object.fromEntries(Object.entries(outputs).map(([name, { dims, data }]) => [name, { shape: dims, data }])));
        }
        return results;
      };
    } catch {
      continue; // not installed there
    }
  }
  return undefined;
}

const python = process.env.GRAFT_PYTHON ?? "python3";

const program = `
import json, sys
import numpy as np, onnx, onnxruntime as ort
file, feeds = json.load(sys.stdin)
onnx.checker.check_model(file, full_check=True)
session = ort.InferenceSession(file)
kinds = {"i64": np.int64, "f32": np.float32}
names = [x.name for x in session.get_outputs()]
runs = [session.run(names, {k: np.array(v["data"], kinds[v["type"]]).reshape(v["shape"]) for k, v in feed.items()}) for feed in feeds]
json.dump([{name: {"shape": x.shape, "data": [float(v) for v in x.ravel()]} for name, x in zip(names, outputs)} for outputs in runs], sys.stdout)
`;

/** Python's onnx and onnxruntime, which also check the file against ONNX's own rules. */
function fromPython(): RunOnnx | undefined {
  const found = spawnSync(python, ["-c", "import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in ('onnx', 'onnxruntime')))"]).status === 0;
  if (!found) return undefined;
  return (file, feeds) => {
    const { status, stdout, stderr } = spawnSync(python, ["-c", program], { input: JSON.stringify([file, feeds]), encoding: "utf8", maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(stderr);
    return Promise.resolve(JSON.parse(stdout) as Awaited<ReturnType<RunOnnx>>);
  };
}

/** ONNX Runtime, where there is one. */
export const runOnnx: RunOnnx | undefined = fromNode() ?? fromPython();

/** Part of a test's name. */
export const whereFound = runOnnx === undefined ? "skipped: there is neither onnxruntime-node (docs/contributing.md) nor a Python with onnx and onnxruntime (GRAFT_PYTHON)" : "in ONNX Runtime";
