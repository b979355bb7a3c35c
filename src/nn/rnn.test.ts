import { afterEach, describe, expect, it } from "vitest";
import { compile, F, grad, gradcheck, hasNative, manualSeed, nn, optim, rand, randn, realize, useBackend, zeros, type Tensor } from "graftml";
import { cells, type Cell, type CellState } from "graftml/ops";
import { planOf } from "graftml/runtime";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

type Network = nn.RNN | nn.LSTM | nn.GRU;

function network(cell: Cell, options: { bias?: boolean; bidirectional?: boolean } = {}): Network {
  if (cell === "lstm") return new nn.LSTM(3, 4, options);
  return cell === "gru" ? new nn.GRU(3, 4, options) : new nn.RNN(3, 4, { ...options, nonlinearity: cell });
}

/** One layer as ops of its own, step by step: x [T, B, 3] -> [T, B, 4]. */
function byHand(cell: Cell, net: Network, x: Tensor, suffix = "l0", backwards = false): Tensor {
  const weight = (name: string): Tensor | undefined => net.stateDict().get(`${name}_${suffix}`);
  const [T, B] = x.shape;
  let state: CellState = [0, 1].map(() => zeros([B, 4], { dtype: x.dtype }));
  const outputs: Tensor[] = [];
  for (let i = 0; i < T; i++) {
    const t = backwards ? T - 1 - i : i;
    const fromInput = F.linear(F.select(x, 0, t), weight("weight_ih")!, weight("bias_ih"));
    state = cells[cell](fromInput, F.linear(state[0], weight("weight_hh")!, weight("bias_hh")), state);
    outputs[t] = state[0];
  }
  return F.stack(outputs, 0);
}

/** Nodes between a result and what is given. */
function nodeCount(result: Tensor): number {
  const seen = new Set([result.node]);
  for (const node of seen) for (const input of node.inputs) seen.add(input);
  return seen.size;
}

describe.each(backends)("a recurrent network on %s", (backend) => {
  it.each(["tanh", "relu", "lstm", "gru"] as const)("is its cell, step by step, with gradients of first and second order: %s", async (cell) => {
    useBackend(backend);
    for (const bias of [true, false]) {
      manualSeed(2);
      const net = network(cell, { bias, bidirectional: true }).to("f64");
      const x = randn([3, 2, 3], { dtype: "f64" });
      await realize(x, ...net.parameters());
      const want = F.cat([byHand(cell, net, x), byHand(cell, net, x, "l0_reverse", true)], 2).dataSync();
      net.forward(x)[0].dataSync().forEach((got, i) => expect(Math.abs(got - want[i])).toBeLessThan(1e-14));
      gradcheck((input) => net.forward(input)[0], [x]);
      gradcheck((input) => F.cat([net.forward(input)[1]].flat(), 0), [x]); // the states behind the last step
      gradcheck((input) => grad((y) => F.sum(F.square(net.forward(y)[0])))(input), [x]);
    }
  });

  it("takes inputs, states and weights of several dtypes, and gives what their sums give", async () => {
    useBackend(backend);
    for (const [weights, input, state, expected] of [["bf16", "f32", "f32", "f32"], ["f32", "bf16", "bf16", "f32"], ["bf16", "bf16", "bf16", "bf16"], ["f32", "f32", "f64", "f64"]] as const) {
      manualSeed(5);
      const net = new nn.LSTM(3, 4).to(weights);
      const [x, first] = [rand([3, 2, 3]).to(input), [rand([1, 2, 4]).to(state), rand([1, 2, 4]).to(state)] as const];
      await realize(x, ...first, ...net.parameters());
      const [output, [h, c]] = net.forward(x, [first[0], first[1]]);
      expect([output.dtype, h.dtype, c.dtype]).toEqual([expected, expected, expected]);
      const exact = net.to("f64").forward(x.to("f64"), [first[0].to("f64"), first[1].to("f64")])[0].dataSync();
      F.cast(output, "f64").dataSync().forEach((got, i) => expect(Math.abs(got - exact[i])).toBeLessThan(expected === "bf16" ? 2e-2 : 1e-6));
    }
  });

  it("takes sequences as long as memory allows: its definition is thousands of operations deep", async () => {
    useBackend(backend);
    manualSeed(6);
    const net = new nn.GRU(1, 2);
    const x = rand([600, 1, 1]);
    F.sum(net.forward(x)[0]).backward();
    await realize(...net.parameters().map((p) => p.grad!));
    const early = net.forward(F.narrow(x, 0, 0, 3))[0].dataSync();
    expect(Array.from(net.forward(x)[0].dataSync().slice(0, 6))).toEqual(Array.from(early));
  });

  const gradients = (net: Network, result: (net: Network, x: Tensor) => Tensor, T: number): Tensor[] => {
    net.zeroGrad();
    F.sum(F.square(result(net, rand([T, 2, 3])))).backward();
    return net.parameters().map((p) => p.grad!);
  };
  const whole = (net: Network, x: Tensor): Tensor => net.forward(x)[0];

  it("is recorded in as many nodes for 40 steps as for 4", () => {
    useBackend(backend);
    for (const cell of ["tanh", "lstm", "gru"] as const) {
      const [few, many] = [4, 40].map((T) => gradients(network(cell), whole, T));
      expect(many.map(nodeCount)).toEqual(few.map(nodeCount));
    }
  });

  it("computes each step once in a training step", async () => {
    useBackend(backend);
    for (const cell of ["tanh", "lstm", "gru"] as const) {
      const net = network(cell);
      await realize(...net.parameters());
      const [recorded, apart] = [whole, (_: Network, x: Tensor) => byHand(cell, net, x)].map((result) => planOf(() => gradients(net, result, 5)).flops);
      expect(recorded).toBeLessThan(1.05 * apart);
    }
  });

  it("learns the same way compiled", async () => {
    useBackend(backend);
    const train = async (how: "eager" | "compiled"): Promise<unknown> => {
      manualSeed(4);
      const net = network("lstm");
      const optimizer = new optim.SGD(net.parameters(), { lr: 0.1 });
      const x = rand([5, 2, 3]);
      await realize(x, ...net.parameters());
      const step = async (input: Tensor): Promise<Tensor> => {
        optimizer.zeroGrad();
        const loss = F.sum(F.square(whole(net, input)));
        loss.backward();
        await optimizer.step();
        return loss;
      };
      const run = how === "eager" ? step : compile(step);
      for (let i = 0; i < 4; i++) await run(x);
      return net.parameters().map((p) => p.dataSync());
    };
    expect(await train("compiled")).toEqual(await train("eager"));
  });
});
