import { compile, F, manualSeed, models, nn, optim, randint, randn, realize, tensor, tune, type Tensor } from "../../src/index.js";
import { serve, type Step } from "./serve.js";

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

/** `gpt_4x128_t64_b12`: layers x width, block, batch; `gpt2_124m` is GPT-2 small. */
async function gpt(workload: string): Promise<Setup> {
  const [layers, heads, width, vocab] = workload.startsWith("gpt2") ? [12, 12, 768, 50257] : workload.startsWith("gpt_4") ? [4, 4, 128, 65] : [6, 6, 384, 65];
  const [T, batch] = [/_t(\d+)/, /_b(\d+)/].map((pattern) => Number(pattern.exec(workload)![1]));
  const none = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
  const lm = await models.create({ model_type: "gpt2", n_layer: layers, n_head: heads, n_embd: width, n_positions: T, vocab_size: vocab, ...none });
  const tokens = (): Tensor => randint(vocab, [batch, T]);
  const model = { forward: (x: Tensor): Tensor => lm.forward(x).logits.reshape([-1, vocab]) };
  return { model, optimizer: new optim.AdamW(lm.parameters(), { lr: 1e-3 }), x: tokens(), y: tokens().reshape([-1]), loss: (output, target) => F.crossEntropy(output, target) };
}

/** A frozen model with adapters. */
async function lora(workload: string): Promise<Setup> {
  const isLlama = workload.includes("llama");
  const none = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
  const sizes = { hidden_size: 768, intermediate_size: 2048, num_hidden_layers: 12, num_attention_heads: 12, num_key_value_heads: 12, vocab_size: 32000 };
  const llama = { ...sizes, max_position_embeddings: 512, tie_word_embeddings: true };
  const lm = await models.create(isLlama ? { model_type: "llama", ...llama } : { model_type: "gpt2", ...none });
  await realize(...lm.parameters());
  tune.lora(lm, { r: 8, alpha: 16, targetModules: isLlama ? ["q_proj", "v_proj"] : ["c_attn"] });
  const vocab = lm.config.vocab_size as number;
  const tokens = (): Tensor => randint(vocab, [1, 256]);
  const model = { forward: (x: Tensor): Tensor => lm.forward(x).logits.reshape([-1, vocab]) };
  const learning = lm.parameters().filter(({ requiresGrad }) => requiresGrad);
  return { model, optimizer: new optim.AdamW(learning, { lr: 1e-3 }), x: tokens(), y: tokens().reshape([-1]), loss: (output, target) => F.crossEntropy(output, target) };
}

interface Setup {
  readonly model: { forward(x: Tensor): Tensor };
  readonly optimizer: { zeroGrad(): void; step(): Promise<unknown> };
  readonly x: Tensor;
  readonly y: Tensor;
  readonly loss: (output: Tensor, target: Tensor) => Tensor;
}

/** One product. */
async function product(): Promise<Step> {
  const [a, b] = [randn([1024, 1024]), randn([1024, 1024])];
  await realize(a, b);
  const multiply = process.argv[3] === "compile" ? compile((x, y) => F.matmul(x, y)) : (x: Tensor, y: Tensor) => F.matmul(x, y);
  return async () => {
    await realize(await multiply(a, b));
    return 0;
  };
}

async function setup(workload: string): Promise<Setup> {
  manualSeed(0);
  const entropy = (output: Tensor, target: Tensor): Tensor => F.crossEntropy(output, target);
  const side = workload === "cnn28_b64" ? 28 : 16;
  switch (workload) {
    case "cnn16_b64":
    case "cnn28_b64": {
      const model = new SimpleCNN(side);
      return { model, optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }), x: randn([64, 1, side, side]), y: randint(10, [64]), loss: entropy };
    }
    case "mlp_b128": {
      const model = new nn.Sequential(new nn.Linear(784, 512), new nn.ReLU(), new nn.Linear(512, 512), new nn.ReLU(), new nn.Linear(512, 10));
      return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }), x: randn([128, 784]), y: randint(10, [128]), loss: entropy };
    }
    case "xor_b4": {
      const model = new nn.Sequential(new nn.Linear(2, 8), new nn.Tanh(), new nn.Linear(8, 1));
      const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
      return { model, optimizer: new optim.SGD(model.parameters(), { lr: 0.1 }), x, y: tensor([[0], [1], [1], [0]]), loss: (output, target) => F.mseLoss(output, target) };
    }
    case "gpt_4x128_t64_b12":
    case "gpt_6x384_t256_b4":
    case "gpt2_124m_t256_b1":
      return gpt(workload);
    case "lora_gpt2_t256":
    case "lora_llama_t256":
      return lora(workload);
    default:
      throw new Error(`unknown workload ${workload}`);
  }
}

serve(async (workload): Promise<Step> => {
  if (workload === "matmul_1024") return product();
  const { model, optimizer, x, y, loss } = await setup(workload);
  await realize(x, y);
  const forward = (input: Tensor, target: Tensor): Tensor => {
    optimizer.zeroGrad();
    const value = loss(model.forward(input), target);
    value.backward();
    return value;
  };
  if (process.argv[3] === "compile") {
    const step = compile((input, target) => {
      const value = forward(input, target);
      void optimizer.step();
      return value;
    });
    return async () => (await step(x, y)).item();
  }
  return async () => {
    const value = forward(x, y);
    await optimizer.step();
    return value.item();
  };
});
