// npx tsx examples/xor.ts, or graft train examples/xor.ts
//
// The smallest task that needs a hidden layer, without modules and optimisers: forward, backward, W <- W - lr dJ/dW.
import { assign, F, manualSeed, nn, noGrad, randn, realize, tensor, zeros } from "graftml";

manualSeed(0);
const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
const y = tensor([[0], [1], [1], [0]]);

const w1 = new nn.Parameter(randn([4, 2])); // as nn.Linear keeps it: [out, in]
const b1 = new nn.Parameter(zeros([4]));
const w2 = new nn.Parameter(randn([1, 4]));
const b2 = new nn.Parameter(zeros([1]));
const parameters = [w1, b1, w2, b2];
const network = () => F.linear(F.tanh(F.linear(x, w1, b1)), w2, b2); // [4, 2] -> [4, 4] -> [4, 1]

const lr = 0.5;
for (let step = 1; step <= 500; step++) {
  for (const parameter of parameters) parameter.grad = null;
  const loss = F.binaryCrossEntropyWithLogits(network(), y);
  loss.backward();
  noGrad(() => {
    for (const parameter of parameters) assign(parameter, parameter.sub(parameter.grad!.mul(lr)));
  });
  await realize(loss); // forward, backward and the four updates in one plan
  if (step % 100 === 0) console.log(`step ${step}  loss ${loss.item().toFixed(4)}`);
}

const answers = await noGrad(() => F.sigmoid(network())).data();
console.log(["0 0", "0 1", "1 0", "1 1"].map((input, i) => `${input} -> ${answers[i].toFixed(3)}`).join("\n"));
