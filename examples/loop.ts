// npx tsx examples/loop.ts, or graft train examples/loop.ts
//
// The training loop written by hand: a model of one's own, a loader, an optimiser. `train.fit` does the same with progress, validation and checkpoints.
import { data, F, manualSeed, nn, noGrad, optim, train, type Tensor } from "graftml";

class SimpleCNN extends nn.Module {
  conv1 = new nn.Conv2d(1, 32, { kernelSize: 3, padding: 1 });
  pool = new nn.MaxPool2d(2);
  fc1 = new nn.Linear(32 * 8 * 8, 128);
  fc2 = new nn.Linear(128, 10);
  forward(x: Tensor): Tensor {
    x = this.pool.forward(F.relu(this.conv1.forward(x))); // [B, 1, 16, 16] -> [B, 32, 8, 8]
    return this.fc2.forward(F.relu(this.fc1.forward(x.flatten(1)))); // [B, 10]
  }
}

manualSeed(0);
const digits = await data.load("digits", { scale: 2 });
const loader = new data.DataLoader(digits.train, { batchSize: 64, shuffle: true });
const model = new SimpleCNN();
const optimizer = new optim.Adam(model.parameters(), { lr: 0.001 });

for (let epoch = 1; epoch <= 10; epoch++) {
  let sum = 0;
  for await (const [input, target] of loader) {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model.forward(input), target);
    loss.backward();
    await optimizer.step(); // one plan: forward, backward, update; loss.item() is free afterwards
    sum += loss.item() * input.shape[0];
  }
  console.log(`epoch ${epoch}  loss ${(sum / digits.train.length).toFixed(4)}`);
}

model.eval();
const [images, labels] = digits.test.tensors();
const right = noGrad(() => F.argmax(model.forward(images), { dim: 1 }).eq(labels).to("f32").mean());
console.log(`test accuracy ${(100 * right.item()).toFixed(2)} %`);
console.log(String((await train.evaluate(model, digits.test)).confusion));
