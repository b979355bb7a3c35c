// The logarithm of a negative number, in the middle of a training step.
import { F, nn, optim, tensor, type Tensor } from "graftml";

class Net extends nn.Module {
  fc = new nn.Linear(3, 4);
  forward(x: Tensor): Tensor {
    const h = F.relu(this.fc.forward(x)).sub(1e4);
    return F.log(h); // the line to be named
  }
}

const model = new Net();
const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
const loss = model.forward(tensor([[1, 2, 3]])).mean();
loss.backward();
try {
  await optimizer.step();
  console.log(`loss ${loss.item()}`);
} catch (error) {
  console.log((error as Error).message);
}
