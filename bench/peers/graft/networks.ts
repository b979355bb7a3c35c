import { arange, F, nn, optim, rand, randint, randn, zeros, type Tensor } from "graftml";
import { entropy, type Setup } from "./setup.js";
import { conv } from "./vision.js";

type Layer = nn.Module & { forward(x: Tensor): Tensor };

/** Convolution, batch norm, ReLU6 (Sandler et al., "MobileNetV2", 2018). */
const convNorm = (inputs: number, outputs: number, kernelSize: number, stride = 1, groups = 1, active = true): nn.Sequential =>
  new nn.Sequential(conv(inputs, outputs, kernelSize, stride, groups), new nn.BatchNorm2d(outputs), ...(active ? [new nn.ReLU6()] : []));

class Residual extends nn.Module {
  constructor(readonly body: Layer) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return F.add(x, this.body.forward(x));
  }
}

function inverted(inputs: number, outputs: number, stride: number): Layer {
  const wide = inputs * 6;
  const body = new nn.Sequential(convNorm(inputs, wide, 1), convNorm(wide, wide, 3, stride, wide), convNorm(wide, outputs, 1, 1, 1, false));
  return stride === 1 && inputs === outputs ? new Residual(body) : body;
}

/** A 7x7 depthwise convolution and a perceptron over the channels (Liu et al., "A ConvNet for the 2020s", 2022). */
class ConvNeXtBlock extends nn.Module {
  conv: nn.Conv2d;
  norm: nn.LayerNorm;
  up: nn.Linear;
  down: nn.Linear;
  constructor(width: number) {
    super();
    this.conv = new nn.Conv2d(width, width, { kernelSize: 7, padding: 3, groups: width });
    this.norm = new nn.LayerNorm(width);
    this.up = new nn.Linear(width, 4 * width);
    this.down = new nn.Linear(4 * width, width);
  }
  override forward(x: Tensor): Tensor {
    const h = this.norm.forward(F.permute(this.conv.forward(x), [0, 2, 3, 1]));
    return F.add(x, F.permute(this.down.forward(F.gelu(this.up.forward(h))), [0, 3, 1, 2]));
  }
}

/** Patches as tokens (Dosovitskiy et al., "An image is worth 16x16 words", 2020), with the mean of all tokens. */
class ViT extends nn.Module {
  patches = new nn.Conv2d(3, 192, { kernelSize: 8, stride: 8 });
  positions = new nn.Parameter(zeros([1, 64, 192]));
  layers = new nn.ModuleList(Array.from({ length: 4 }, () => new nn.TransformerEncoderLayer(192, 3, { dimFeedforward: 768, dropout: 0, activation: "gelu", batchFirst: true, normFirst: true })));
  head = new nn.Linear(192, 100);
  override forward(x: Tensor): Tensor {
    let h = F.add(F.transpose(F.flatten(this.patches.forward(x), 2), 1, 2), this.positions);
    for (const layer of this.layers) h = layer.forward(h);
    return this.head.forward(F.mean(h, { dim: 1 }));
  }
}

const groupNormed = (inputs: number, outputs: number): nn.Sequential =>
  new nn.Sequential(new nn.Conv2d(inputs, outputs, { kernelSize: 3, padding: 1 }), new nn.GroupNorm(8, outputs), new nn.SiLU());

/** Down and up again with shortcuts (Ronneberger et al., "U-Net", 2015), with group norm. */
class UNet extends nn.Module {
  down1 = groupNormed(3, 32);
  down2 = groupNormed(32, 64);
  down3 = groupNormed(64, 128);
  up2 = new nn.ConvTranspose2d(128, 64, { kernelSize: 2, stride: 2 });
  join2 = groupNormed(128, 64);
  up1 = new nn.ConvTranspose2d(64, 32, { kernelSize: 2, stride: 2 });
  join1 = groupNormed(64, 32);
  head = new nn.Conv2d(32, 5, { kernelSize: 1 });
  override forward(x: Tensor): Tensor {
    const a = this.down1.forward(x);
    const b = this.down2.forward(F.maxPool2d(a, { kernelSize: 2 }));
    const c = this.down3.forward(F.maxPool2d(b, { kernelSize: 2 }));
    const d = this.join2.forward(F.cat([this.up2.forward(c), b], 1));
    return this.head.forward(this.join1.forward(F.cat([this.up1.forward(d), a], 1)));
  }
}

/** Convolutions over a second of sound at 16 kHz, and a GRU over what they leave. */
class Speech extends nn.Module {
  convs = new nn.Sequential(
    new nn.Conv1d(1, 64, { kernelSize: 10, stride: 5 }), new nn.GELU(), new nn.Conv1d(64, 64, { kernelSize: 3, stride: 2 }), new nn.GELU(), new nn.MaxPool1d({ kernelSize: 2 }),
    new nn.Conv1d(64, 128, { kernelSize: 3, stride: 2 }), new nn.GELU(),
  );
  rnn = new nn.GRU(128, 128, { batchFirst: true });
  head = new nn.Linear(128, 35);
  override forward(x: Tensor): Tensor {
    const [states] = this.rnn.forward(F.transpose(this.convs.forward(x), 1, 2));
    return this.head.forward(F.select(states, 1, states.shape[1] - 1));
  }
}

/** An encoder with dropout over padded texts; token 0 is the padding. */
class Encoder extends nn.Module {
  words = new nn.Embedding(30000, 256);
  positions = new nn.Embedding(64, 256);
  norm = new nn.LayerNorm(256);
  layers = new nn.ModuleList(Array.from({ length: 4 }, () => new nn.TransformerEncoderLayer(256, 4, { dimFeedforward: 1024, dropout: 0.1, activation: "gelu", batchFirst: true })));
  head = new nn.Linear(256, 2);
  override forward(x: Tensor): Tensor {
    const srcKeyPaddingMask = F.eq(x, 0);
    let h = this.norm.forward(F.add(this.words.forward(x), this.positions.forward(arange(x.shape[1], { dtype: "i32" }))));
    for (const layer of this.layers) h = layer.forward(h, { srcKeyPaddingMask });
    return this.head.forward(F.select(h, 1, 0));
  }
}

/** Users and items by their number, and a perceptron over both. */
class Recommender extends nn.Module {
  users = new nn.Embedding(50000, 32);
  items = new nn.Embedding(20000, 32);
  net = new nn.Sequential(new nn.Linear(64, 128), new nn.ReLU(), new nn.Dropout(0.2), new nn.Linear(128, 64), new nn.ReLU(), new nn.Linear(64, 1));
  override forward(x: Tensor): Tensor {
    return F.squeeze(this.net.forward(F.cat([this.users.forward(F.select(x, 1, 0)), this.items.forward(F.select(x, 1, 1))], 1)), 1);
  }
}

const up = (inputs: number, outputs: number, stride: number, padding: number): nn.ConvTranspose2d => new nn.ConvTranspose2d(inputs, outputs, { kernelSize: 4, stride, padding });
const generator = (): nn.Sequential =>
  new nn.Sequential(
    up(64, 128, 1, 0), new nn.BatchNorm2d(128), new nn.ReLU(), up(128, 64, 2, 1), new nn.BatchNorm2d(64), new nn.ReLU(),
    up(64, 32, 2, 1), new nn.BatchNorm2d(32), new nn.ReLU(), up(32, 3, 2, 1), new nn.Tanh(),
  );
const pooled = (width: number, classes: number): Layer[] => [new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(width, classes)];

/** Texts of 20 to `length` words, the rest padding. */
function padded(batch: number, length: number, words: number): Tensor {
  const lengths = F.add(randint(length - 19, [batch, 1]), 20);
  return F.where(F.lt(F.reshape(arange(length, { dtype: "i32" }), [1, length]), lengths), F.add(randint(words - 1, [batch, length]), 1), 0);
}

const adam = (model: nn.Module): optim.Adam => new optim.Adam(model.parameters(), { lr: 1e-3 });

export function network(workload: string): Setup {
  const images = (model: Layer, batch: number, side: number, classes: number, ...labels: number[]): Setup => ({
    model, optimizer: adam(model), x: randn([batch, 3, side, side]), y: randint(classes, [batch, ...labels]), loss: entropy,
  });
  const name = workload.split("_")[1];
  if (name === "mobilenet") {
    return images(new nn.Sequential(convNorm(3, 16, 3), inverted(16, 24, 2), inverted(24, 24, 1), inverted(24, 32, 2), inverted(32, 32, 1), ...pooled(32, 10)), 16, 32, 10);
  }
  if (name === "convnext") return images(new nn.Sequential(new nn.Conv2d(3, 64, { kernelSize: 4, stride: 4 }), new ConvNeXtBlock(64), new ConvNeXtBlock(64), ...pooled(64, 10)), 8, 128, 10);
  if (name === "vit") return images(new ViT(), 16, 64, 100);
  if (name === "unet") return images(new UNet(), 4, 64, 5, 64, 64);
  if (name === "speech") {
    const model = new Speech();
    return { model, optimizer: adam(model), x: randn([8, 1, 16000]), y: randint(35, [8]), loss: entropy };
  }
  if (name === "encoder") {
    const model = new Encoder();
    return { model, optimizer: adam(model), x: padded(16, 64, 30000), y: randint(2, [16]), loss: entropy };
  }
  if (name === "recommender") {
    const model = new Recommender();
    return { model, optimizer: adam(model), x: randint(20000, [1024, 2]), y: F.round(rand([1024])), loss: (output, target) => F.binaryCrossEntropyWithLogits(output, target) };
  }
  const model = generator();
  return { model, optimizer: adam(model), x: randn([16, 64, 1, 1]), y: zeros([]), loss: (output, target) => F.mean(F.square(F.sub(output, target))) };
}
