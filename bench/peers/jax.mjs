// jax-js on its WebAssembly backend: the whole step under jit. Arrays are consumed by use, hence the .ref. Installed by `npm run bench:peers`.
import { init, defaultDevice, jit, lax, nn, numpy as np, random, valueAndGrad } from "@jax-js/jax";
import { serve } from "./serve.ts";

let seed = 0;
const uniform = (shape, bound) => random.uniform(random.key(seed++), shape, { minval: -bound, maxval: bound });
const dense = (inputs, outputs) => ({ w: uniform([inputs, outputs], 1 / Math.sqrt(inputs)), b: uniform([outputs], 1 / Math.sqrt(inputs)) });
const affine = (x, { w, b }) => np.dot(x, w).add(b);
const entropy = (logits, onehot) => nn.logSoftmax(logits).mul(onehot).sum().mul(-1 / onehot.shape[0]);
const labels = (n) => np.eye(10).slice(np.array(Array.from({ length: n }, (_, i) => i % 10), { dtype: np.int32 }));

function setup(workload) {
  if (workload.startsWith("cnn")) {
    const side = Number(workload.slice(3, 5));
    const params = { k: uniform([32, 1, 3, 3], 1 / 3), c: uniform([32], 1 / 3), fc1: dense(32 * (side / 2) ** 2, 128), fc2: dense(128, 10) };
    const loss = (p, x, y) => {
      let h = nn.relu(lax.conv(x, p.k, [1, 1], "SAME").add(p.c.reshape([32, 1, 1])));
      h = h.reshape([64, 32, side / 2, 2, side / 2, 2]);
      h = np.max(h, [3, 5]).reshape([64, -1]);
      return entropy(affine(nn.relu(affine(h, p.fc1)), p.fc2), y);
    };
    return { params, loss, x: random.normal(random.key(100), [64, 1, side, side]), y: labels(64), rule: "adam" };
  }
  if (workload === "mlp_b128") {
    const params = { a: dense(784, 512), b: dense(512, 512), c: dense(512, 10) };
    return { params, loss: (p, x, y) => entropy(affine(nn.relu(affine(nn.relu(affine(x, p.a)), p.b)), p.c), y), x: random.normal(random.key(100), [128, 784]), y: labels(128), rule: "momentum" };
  }
  const loss = (p, x, y) => np.square(affine(np.tanh(affine(x, p.a)), p.b).sub(y)).mean();
  return { params: { a: dense(2, 8), b: dense(8, 1) }, loss, x: np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), y: np.array([[0], [1], [1], [0]]), rule: "sgd" };
}


serve(async (workload) => {
  await init("wasm");
  defaultDevice("wasm");
  if (workload === "kernel_matmul_1024") {
    const [a, b] = [random.normal(random.key(1), [1024, 1024]), random.normal(random.key(2), [1024, 1024])];
    return async () => {
      const c = np.dot(a.ref, b.ref);
      await c.blockUntilReady();
      c.dispose();
      return 0;
    };
  }
  const { params, loss, x, y, rule } = setup(workload);
  const map = (f, ...trees) => {
    const [first] = trees;
    if (first && first.constructor === Object) return Object.fromEntries(Object.keys(first).map((key) => [key, map(f, ...trees.map((tree) => tree[key]))]));
    return f(...trees);
  };
  const zeros = () => map((p) => np.zeros(p.shape), params);
  const step = jit((p, m, v, input, target) => {
    const [value, g] = valueAndGrad(loss)(map((t) => t.ref, p), input, target);
    if (rule === "sgd") return [value, map((a, b) => a.sub(b.mul(0.1)), p, g), m, v];
    if (rule === "momentum") {
      const next = map((a, b) => a.mul(0.9).add(b), m, g);
      return [value, map((a, b) => a.sub(b.ref.mul(0.1)), p, next), next, v];
    }
    const mean = map((a, b) => a.mul(0.9).add(b.ref.mul(0.1)), m, g);
    const square = map((a, b) => a.mul(0.999).add(np.square(b).mul(0.001)), v, g);
    return [value, map((a, b, c) => a.sub(b.ref.mul(1e-3).div(np.sqrt(c.ref).add(1e-8))), p, mean, square), mean, square];
  });
  let state = [params, zeros(), zeros()];
  return async () => {
    const [value, ...next] = step(...state, x.ref, y.ref);
    state = next;
    return (await value.data())[0];
  };
});
