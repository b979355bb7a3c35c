import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { arange, F, manualSeed, nn, noGrad, randn, tensor, type Tensor } from "graftml";
import * as models from "graftml/models";
import { runOnnx, whereFound } from "./runtime.js";

let dir: string;
beforeAll(async () => {
  manualSeed(5);
  dir = await mkdtemp(join(tmpdir(), "graft-onnx-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

type Build = () => { readonly model: nn.Module; readonly shape: readonly number[] };
const layers = (inputShape: readonly number[], list: readonly models.LayerSpec[]): Build => () => ({ model: new models.Layers({ inputShape, layers: list }), shape: inputShape });
/** A module of one function. */
const module = (shape: readonly number[], forward: (x: Tensor) => Tensor): Build => {
  class Given extends nn.Module {
    forward(x: Tensor): Tensor {
      return forward(x);
    }
  }
  return () => ({ model: new Given(), shape });
};
const half = (dtype: "f16" | "bf16"): Build => () => ({ model: new models.SimpleCNN({ inputShape: [1, 6, 6] }).to(dtype), shape: [1, 6, 6] });

class Recurrent extends nn.Module {
  rnn = new nn.LSTM(3, 4, { batchFirst: true });
  head = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    return this.head.forward(F.select(this.rnn.forward(x)[0], 1, -1));
  }
}
class Up extends nn.Module {
  up = new nn.ConvTranspose2d(3, 4, { kernelSize: 3, stride: 2, padding: 1, outputPadding: 1 });
  forward(x: Tensor): Tensor {
    return this.up.forward(x);
  }
}

const cases: Readonly<Record<string, Build>> = {
  MLP: () => ({ model: new models.MLP({ inputShape: [2, 3], classes: 2, hidden: [8, 4], activation: "gelu", dropout: 0.5 }), shape: [2, 3] }),
  SimpleCNN: () => ({ model: new models.SimpleCNN({ inputShape: [3, 9, 6] }), shape: [3, 9, 6] }),
  "weights in f16": half("f16"),
  "weights in bf16": half("bf16"),
  "strides, groups, dilation, batch norm": layers([3, 12, 12], [{ Conv2d: { out: 8, kernelSize: 3, stride: 2, padding: 1, bias: false } }, "BatchNorm2d", "SiLU", { Conv2d: { out: 8, kernelSize: 3, groups: 4, dilation: 2, padding: 2 } }, { AdaptiveAvgPool2d: 1 }, "Flatten", { Linear: 5 }]),
  pools: layers([3, 12, 12], [{ AvgPool2d: { kernelSize: 3, stride: 2, padding: 1 } }, { MaxPool2d: { kernelSize: 3, stride: 2, ceilMode: true } }, { AdaptiveAvgPool2d: [2, 2] }, "Flatten", { Linear: 3 }]),
  "group, instance and layer norm": layers([3, 8, 8], [{ Conv2d: { out: 8, kernelSize: 3 } }, { GroupNorm: 4 }, "InstanceNorm2d", "Dropout2d", "Flatten", "LayerNorm", { Linear: 3 }]),
  "one dim": layers([3, 32], [{ Conv1d: { out: 8, kernelSize: 3, stride: 2 } }, "BatchNorm1d", { MaxPool1d: 2 }, { AvgPool1d: 2 }, "Flatten", { Linear: 3 }]),
  "three dims": layers([2, 4, 5, 6], [{ Conv3d: { out: 4, kernelSize: 2, padding: 1 } }, "Flatten", { Linear: 3 }]),
  activations: layers([5], ["ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Softplus", "Softsign", "Sigmoid", "Tanh", "Hardtanh", "Hardswish"].flatMap((name) => [{ Linear: 5 }, name])),
  "a transposed convolution": () => ({ model: new Up(), shape: [3, 6, 5] }),
  "an LSTM": () => ({ model: new Recurrent(), shape: [6, 3] }),
  "a transformer layer": () => ({ model: new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16, batchFirst: true }), shape: [6, 8] }),
  "sorting and looking up": module([5], (x) => {
    const [values, order] = F.sort(x, { dim: -1, descending: true });
    const labels = F.argmax(x, { dim: 1 });
    return F.cat([values, F.cast(order, "f32"), F.gather(x, 1, F.argsort(x, { dim: 1 })), F.cast(F.oneHot(labels, 5), "f32"), F.scatterAdd(x, 1, order, values), F.indexSelect(x, 1, F.argmin(F.reshape(arange(3), [3, 1]), { dim: 1 }))], 1);
  }),
  "element by element": module([5], (x) => F.cat([F.remainder(x, 0.7), F.trunc(F.mul(x, 3)), F.logSigmoid(x), F.expm1(x), F.log1p(F.abs(x)), F.round(F.mul(x, 4)), F.pow(F.abs(x), 1.5), F.maximum(x, F.flip(x, [1])), F.cast(F.floorDivide(F.cast(F.mul(x, 9), "i32"), 2), "f32"), F.cast(F.isnan(x), "f32")], 1)),
  "softmax over the channels of images": module([3, 4, 5], (x) => F.add(F.softmax(x, 1), F.logSoftmax(F.mul(x, 2), 1))),
  "sums and statistics, also of the batch": module([5], (x) => F.cat([F.cumsum(x, 1), F.logSoftmax(x), F.sub(x, F.mean(x, { dim: 0, keepdim: true })), F.expand(F.std(x, { dim: 0, keepdim: true }), x.shape), F.prod(x, { dim: 1, keepdim: true }), F.max(x, { dim: 1, keepdim: true }), F.pad(x, [1, 2])], 1)),
}; // prettier-ignore

describe.skipIf(runOnnx === undefined)(`results of layers (${whereFound})`, () => {
  it.each(Object.keys(cases))("%s", async (name) => {
    const { model, shape } = cases[name]();
    const file = join(dir, "layers.onnx");
    model.eval();
    const { inputs } = await models.exportOnnx(model, file, { inputShape: shape });
    const batches = await Promise.all([2, 3, 7].map((B) => randn([B, ...shape]).data().then((data) => ({ shape: [B, ...shape], data: [...data] }))));
    const found = await runOnnx!(file, batches.map((x) => ({ [inputs[0].name]: { ...x, type: "f32" as const } })));
    for (const [i, { data, shape: given }] of batches.entries()) {
      const output = noGrad(() => (model.forward as (x: Tensor) => Tensor).call(model, tensor(Float32Array.from(data), { shape: given })));
      const { logits } = found[i];
      expect(logits.shape).toEqual(output.shape);
      const expected = await output.data();
      Array.from(logits.data).forEach((value, k) => expect(Math.abs(value - expected[k])).toBeLessThan(1e-5 * Math.max(1, Math.abs(expected[k]))));
    }
  });
});
