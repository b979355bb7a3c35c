import { F, nn, optim, randint, randn, tensor, type Tensor } from "graftml";
import { entropy, type Setup } from "./setup.js";

class SimpleCNN extends nn.Module {
  conv1 = new nn.Conv2d(1, 32, { kernelSize: 3, padding: 1 });
  pool = new nn.MaxPool2d(2);
  fc1: nn.Linear;
  fc2 = new nn.Linear(128, 10);
  constructor(side: number) {
    super();
    this.fc1 = new nn.Linear(32 * (side / 2) ** 2, 128);
  }
  override forward(x: Tensor): Tensor {
    x = this.pool.forward(F.relu(this.conv1.forward(x)));
    return this.fc2.forward(F.relu(this.fc1.forward(x.flatten(1))));
  }
}

export const conv = (inputs: number, outputs: number, kernelSize: number, stride: number, groups = 1): nn.Conv2d =>
  new nn.Conv2d(inputs, outputs, { kernelSize, stride, padding: kernelSize >> 1, groups, bias: false });

/** Two 3x3 convolutions beside a shortcut, which is projected where the shape changes (He et al., "Deep residual learning", 2016). */
class BasicBlock extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  downsample: nn.Sequential | null;
  constructor(inputs: number, outputs: number, stride: number) {
    super();
    this.conv1 = conv(inputs, outputs, 3, stride);
    this.bn1 = new nn.BatchNorm2d(outputs);
    this.conv2 = conv(outputs, outputs, 3, 1);
    this.bn2 = new nn.BatchNorm2d(outputs);
    this.downsample = stride === 1 && inputs === outputs ? null : new nn.Sequential(conv(inputs, outputs, 1, stride), new nn.BatchNorm2d(outputs));
  }
  override forward(x: Tensor): Tensor {
    const h = F.relu(this.bn1.forward(this.conv1.forward(x)));
    return F.relu(F.add(this.bn2.forward(this.conv2.forward(h)), this.downsample === null ? x : this.downsample.forward(x)));
  }
}

/** ResNet-18 for small images: a 3x3 stem and no pooling behind it. */
const resnet18 = (classes: number): nn.Sequential => {
  const widths = [64, 64, 128, 256, 512];
  const blocks = widths.slice(1).flatMap((width, i) => [new BasicBlock(widths[i], width, i === 0 ? 1 : 2), new BasicBlock(width, width, 1)]);
  return new nn.Sequential(conv(3, 64, 3, 1), new nn.BatchNorm2d(64), new nn.ReLU(), ...blocks, new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(512, classes));
};

export function cnn(workload: string): Setup {
  const side = Number(workload.slice(3, 5));
  const model = new SimpleCNN(side);
  return { model, optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }), x: randn([64, 1, side, side]), y: randint(10, [64]), loss: entropy };
}

export function mlp(): Setup {
  const model = new nn.Sequential(new nn.Linear(784, 512), new nn.ReLU(), new nn.Linear(512, 512), new nn.ReLU(), new nn.Linear(512, 10));
  return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }), x: randn([128, 784]), y: randint(10, [128]), loss: entropy };
}

export function xor(): Setup {
  const model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
  const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
  return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1 }), x, y: tensor([[0], [1], [1], [0]]), loss: (output, target) => F.mseLoss(output, target) };
}

export function resnet(): Setup {
  const model = resnet18(10);
  return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.01, momentum: 0.9 }), x: randn([16, 3, 32, 32]), y: randint(10, [16]), loss: entropy };
}
