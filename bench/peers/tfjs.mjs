// TensorFlow.js on its WebAssembly backend, in its own words (NHWC). Installed under bench/peers by `npm run bench:peers`.
import * as tf from "@tensorflow/tfjs";
import { setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { serve } from "./serve.ts";

const dense = (inputs, outputs) => {
  const bound = 1 / Math.sqrt(inputs);
  return [tf.variable(tf.randomUniform([inputs, outputs], -bound, bound)), tf.variable(tf.randomUniform([outputs], -bound, bound))];
};
const affine = (x, [w, b]) => tf.add(tf.matMul(x, w), b);
const entropy = (logits, labels) => tf.losses.softmaxCrossEntropy(tf.oneHot(labels, 10), logits);

function setup(workload) {
  if (workload.startsWith("cnn")) {
    const side = Number(workload.slice(3, 5));
    const [kernel, bias] = [tf.variable(tf.randomUniform([3, 3, 1, 32], -1 / 3, 1 / 3)), tf.variable(tf.zeros([32]))];
    const [fc1, fc2] = [dense(32 * (side / 2) ** 2, 128), dense(128, 10)];
    const x = tf.randomNormal([64, side, side, 1]);
    const y = tf.randomUniform([64], 0, 10, "int32");
    const forward = () => {
      const h = tf.maxPool(tf.relu(tf.add(tf.conv2d(x, kernel, 1, "same"), bias)), 2, 2, "valid");
      return entropy(affine(tf.relu(affine(h.reshape([64, -1]), fc1)), fc2), y);
    };
    return { forward, optimizer: tf.train.adam(1e-3) };
  }
  if (workload === "mlp_b128") {
    const layers = [dense(784, 512), dense(512, 512), dense(512, 10)];
    const [x, y] = [tf.randomNormal([128, 784]), tf.randomUniform([128], 0, 10, "int32")];
    return { forward: () => entropy(affine(tf.relu(affine(tf.relu(affine(x, layers[0])), layers[1])), layers[2]), y), optimizer: tf.train.momentum(0.1, 0.9) };
  }
  const layers = [dense(2, 8), dense(8, 1)];
  const [x, y] = [tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]), tf.tensor2d([[0], [1], [1], [0]])];
  return { forward: () => tf.losses.meanSquaredError(y, affine(tf.tanh(affine(x, layers[0])), layers[1])), optimizer: tf.train.sgd(0.1) };
}

serve(async (workload) => {
  tf.env().set("PROD", true);
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json"))}/dist/`);
  setThreadsCount(availableParallelism());
  if (!(await tf.setBackend("wasm"))) throw new Error("the wasm backend did not start");
  if (workload === "kernel_matmul_1024") {
    const [a, b] = [tf.randomNormal([1024, 1024]), tf.randomNormal([1024, 1024])];
    return async () => {
      const c = tf.matMul(a, b); // the wasm backend computes at once
      c.dispose();
      return 0;
    };
  }
  const { forward, optimizer } = setup(workload);
  return async () => {
    const loss = optimizer.minimize(forward, true);
    const [value] = await loss.data();
    loss.dispose();
    return value;
  };
});
