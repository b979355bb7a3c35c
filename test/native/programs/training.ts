// A small convolutional network with batch norm and dropout trains for a few steps; prints what came out, for runs under other flags to agree with.
import { createHash } from "node:crypto";
import { currentBackend, F, manualSeed, nn, optim, rand, randint, realize, type Tensor } from "graftml";

manualSeed(7);

class Net extends nn.Module {
  conv1 = new nn.Conv2d(1, 6, { kernelSize: 3, padding: 1, bias: false }); // the norm takes a bias away: its gradient would be rounding noise
  norm = new nn.BatchNorm2d(6);
  conv2 = new nn.Conv2d(6, 9, { kernelSize: 3, stride: 2 });
  drop = new nn.Dropout(0.25);
  fc = new nn.Linear(9 * 2 * 2, 5);
  forward(x: Tensor): Tensor {
    const h = F.maxPool2d(F.relu(this.norm.forward(this.conv1.forward(x))), { kernelSize: 2 });
    return this.fc.forward(this.drop.forward(F.gelu(this.conv2.forward(h))).flatten(1));
  }
}

const model = new Net();
const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01, weightDecay: 0.05 });
const x = rand([11, 1, 12, 12]);
const y = randint(0, 5, [11]);
await realize(x, y); // data, as a loader gives it
const losses: number[] = [];
for (let step = 0; step < 5; step++) {
  optimizer.zeroGrad();
  const loss = F.crossEntropy(model.forward(x), y);
  loss.backward();
  await optimizer.step();
  losses.push(loss.item());
}
const hash = createHash("sha256");
const weights: number[] = [];
for (const value of model.stateDict().values()) {
  const data = await value.data();
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  weights.push(...data.slice(0, 20));
}
console.log(JSON.stringify({ backend: currentBackend().name, description: currentBackend().description, losses, weights, bits: hash.digest("hex") }));
