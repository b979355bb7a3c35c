import { beforeAll, describe, expect, it } from "vitest";
import { F, manualSeed, models, nn, realize, tensor } from "graftml";
import { candidates, largest, logSumExp, pick, probabilities } from "./logits.js";

const row = (...values: number[]): Float32Array => Float32Array.from(values);
const kept = (logits: Float32Array, options: models.SamplingOptions): number[] => [...candidates(logits, options).tokens];

describe("choosing among tokens", () => {
  const p = [0.5, 0.05, 0.25, 0.2];
  const logits = row(...p.map(Math.log));

  it("top-k, top-p and min-p keep the likely ones", () => {
    expect(kept(logits, {}).sort()).toEqual([0, 1, 2, 3]);
    expect(kept(logits, { topK: 2 })).toEqual([0, 2]);
    expect(kept(logits, { topP: 0.5 })).toEqual([0]);
    expect(kept(logits, { topP: 0.7 })).toEqual([0, 2]);
    expect(kept(logits, { topP: 1e-9 })).toEqual([0]);
    expect(kept(logits, { minP: 0.45 })).toEqual([0, 2]);
    expect(kept(logits, { topK: 3, minP: 0.45, topP: 0.99 })).toEqual([0, 2]);
    expect(kept(logits, { topP: 0.7, temperature: 10 })).toEqual([0, 2, 3]); // flat: 0.28, 0.26, 0.26, ...
  });

  it("largest is the beginning of a stable sort", () => {
    const values = Float32Array.from({ length: 200 }, (_, i) => (i * 7919) % 31);
    const sorted = [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);
    for (const count of [1, 2, 7, 64, 199, 200, 500]) expect([...largest(values, count)]).toEqual(sorted.slice(0, count));
  });

  it("draws with the right probabilities", () => {
    const { tokens, logits: scaled } = candidates(logits, { topK: 4 });
    expect([...probabilities(scaled)].map((x) => Number(x.toFixed(6)))).toEqual([0.5, 0.25, 0.2, 0.05]);
    expect([0, 0.49, 0.51, 0.74, 0.76, 0.94, 0.96, 0.9999999].map((u) => pick(tokens, scaled, u))).toEqual([0, 0, 2, 2, 3, 3, 1, 1]);
    expect(logSumExp(row(1000, 1000))).toBeCloseTo(1000 + Math.log(2), 3);
  });
});

describe("generate", () => {
  let model: models.CausalModel;
  let limited: models.CausalModel;
  beforeAll(async () => {
    manualSeed(11);
    model = await models.create<models.CausalModel>({ model_type: "llama", vocab_size: 23, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, initializer_range: 0.5, eos_token_id: null, pad_token_id: null });
    limited = await models.create<models.CausalModel>({ model_type: "gpt2", vocab_size: 23, n_embd: 16, n_head: 2, n_layer: 1, n_positions: 12, initializer_range: 0.5, eos_token_id: 0 });
    await realize(...model.parameters(), ...limited.parameters());
  });

  /** Greedy without a cache, token by token. */
  async function plain(prompt: readonly number[], count: number): Promise<number[]> {
    const ids = [...prompt];
    for (let i = 0; i < count; i++) {
      const { logits } = model.forward(tensor([ids], { dtype: "i32" }), { logitsToKeep: 1 });
      ids.push((await F.argmax(F.reshape(logits, [23])).data())[0]);
    }
    return ids.slice(prompt.length);
  }

  it("with a cache that grows equals greedy decoding without one", async () => {
    const expected = await plain([3, 1, 4], 150);
    const { tokens, sequences, finish } = await models.generate(model, [3, 1, 4], { maxNewTokens: 150 });
    expect(tokens).toEqual([expected]);
    expect(sequences).toEqual([[3, 1, 4, ...expected]]);
    expect(finish).toEqual(["length"]);
  });

  it("gives each prompt of a batch what it gets alone", async () => {
    const prompts = [[5], [9, 2, 6, 5, 3, 5, 8], [1, 2, 3]];
    const { tokens } = await models.generate(model, prompts, { maxNewTokens: 12 });
    for (const [i, prompt] of prompts.entries()) expect(tokens[i]).toEqual(await plain(prompt, 12));
    expect((await models.generate(model, tensor([[1, 2, 3]], { dtype: "i32" }), { maxNewTokens: 12 })).tokens[0]).toEqual(tokens[2]);
  });

  it("draws the same tokens from the same seed", async () => {
    const draw = async (seed?: number): Promise<string> => String((await models.generate(model, [[1, 2], [1, 2]], { maxNewTokens: 20, temperature: 1, seed })).tokens);
    const first = await draw(5);
    expect(await draw(5)).toBe(first);
    expect(await draw(6)).not.toBe(first);
    const [a, b] = first.split(",").length === 40 ? [first.split(",").slice(0, 20), first.split(",").slice(20)] : [[], []];
    expect(a).not.toEqual(b);
    manualSeed(3);
    const [one, two] = [await draw(), await draw()];
    expect(one).not.toBe(two);
    manualSeed(3);
    expect(await draw()).toBe(one);
    expect((await models.generate(model, [1, 2], { maxNewTokens: 20, temperature: 1, topK: 1 })).tokens[0]).toEqual(await plain([1, 2], 20));
  });

  it("stops at an end of text, a stop sequence or when it is told to", async () => {
    const free = (await plain([7, 7], 30)) as readonly number[];
    const at = 4;
    const eos = free[at];
    const ends = free.indexOf(eos) + 1;
    const stopped = await models.generate(model, [7, 7], { maxNewTokens: 30, eosTokenId: eos });
    expect(stopped.tokens[0]).toEqual(free.slice(0, ends));
    expect(stopped.finish).toEqual(["stop"]);
    expect((await models.generate(model, [7, 7], { maxNewTokens: 30, stopSequences: [[99], [free[2], free[3]]] })).tokens[0].slice(-2)).toEqual([free[2], free[3]]);
    expect((await models.generate(model, [7, 7], { maxNewTokens: 30, stopWhen: (tokens) => tokens.length === 3 })).tokens[0]).toEqual(free.slice(0, 3));
    const late = await models.generate(model, [7, 7], { maxNewTokens: 30, eosTokenId: eos, minNewTokens: ends + 2 });
    expect(late.tokens[0].slice(0, ends + 2)).not.toContain(eos);
    const pair = await models.generate(model, [[7, 7], [3, 1, 4]], { maxNewTokens: 30, eosTokenId: [eos, 50] });
    expect(pair.tokens[0]).toEqual(free.slice(0, ends));
  });

  it("streams tokens, and tells log probabilities", async () => {
    const steps: models.StreamedToken[] = [];
    for await (const step of models.stream(model, [[7, 7], [2]], { maxNewTokens: 4, logprobs: 3 })) steps.push(step);
    expect(steps.map(({ sequence }) => sequence)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(steps.map(({ finish }) => finish)).toEqual([...new Array<undefined>(6).fill(undefined), "length", "length"]);
    const { logits } = model.forward(tensor([[7, 7]], { dtype: "i32" }), { logitsToKeep: 1 });
    const scores = await F.logSoftmax(F.reshape(logits, [23]), 0).data();
    expect(steps[0].logprob).toBeCloseTo(scores[steps[0].token], 4);
    expect(steps[0].top!.map(({ token }) => token)).toEqual([...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 3));
    const whole = await models.generate(model, [7, 7], { maxNewTokens: 4, logprobs: 0 });
    whole.logprobs![0].forEach((logprob, i) => expect(logprob).toBeCloseTo(steps.filter(({ sequence }) => sequence === 0)[i].logprob!, 4));
    expect(whole.top).toBeUndefined();
  });

  it("may be left early and puts the model's mode back", async () => {
    model.train();
    for await (const step of models.stream(model, [1], { maxNewTokens: 50 })) {
      expect(model.training).toBe(false);
      if (step.token >= 0) break;
    }
    expect(model.training).toBe(true);
    const controller = new AbortController();
    const { tokens } = await models.generate(model, [1], { maxNewTokens: 50, signal: controller.signal, stopWhen: (list) => (list.length === 5 && controller.abort(), false) });
    expect(tokens[0].length).toBe(5);
    model.eval();
  });

  it("ends where the model has no more positions", async () => {
    const { tokens, finish } = await models.generate(limited, [1, 2, 3], { maxNewTokens: 50, eosTokenId: null });
    expect([tokens[0].length, finish[0]]).toEqual([9, "length"]);
    await expect(models.generate(limited, new Array<number>(12).fill(1))).rejects.toThrow(/the prompt has 12 tokens, the model has positions for 12/);
  });

  it("says what is wrong", async () => {
    await expect(models.generate(model, [])).rejects.toThrow(/prompt 0 is empty/);
    await expect(models.generate(model, [[1], [2.5]])).rejects.toThrow(/prompt 1 holds 2.5, which is no token id/);
    await expect(models.generate(model, [1], { topP: 0.9 })).rejects.toThrow(/temperature is 0, which takes the best one/);
    await expect(models.generate(model, [1], { temprature: 1 } as object)).rejects.toThrow(/Did you mean "temperature"/);
    await expect(models.generate(new nn.Linear(2, 2), [1])).rejects.toThrow(/Linear does not predict next tokens/);
  });

  it("beam search finds the likeliest sequence when it follows all", async () => {
    const prompt = [4, 2];
    let best = { tokens: [] as number[], score: -Infinity };
    for (let a = 0; a < 23; a++) {
      const { logits } = model.forward(tensor([[...prompt, a]], { dtype: "i32" }));
      const scores = F.logSoftmax(F.reshape(logits, [3, 23]), -1);
      const data = await scores.data();
      for (let b = 0; b < 23; b++) {
        const score = (data[23 + a] + data[46 + b]) / 2;
        if (score > best.score) best = { tokens: [a, b], score };
      }
    }
    const [[found, second]] = await models.beamSearch(model, prompt, { numBeams: 23, maxNewTokens: 2, numReturnSequences: 2 });
    expect(found.tokens).toEqual(best.tokens);
    expect(found.score).toBeCloseTo(best.score, 4);
    expect(second.score).toBeLessThanOrEqual(found.score);
    const [[narrow]] = await models.beamSearch(model, prompt, { numBeams: 1, maxNewTokens: 6 });
    expect(narrow.tokens).toEqual(await plain(prompt, 6));
    await expect(models.beamSearch(model, prompt, { numBeams: 2, numReturnSequences: 3 })).rejects.toThrow(/numReturnSequences 3 is more than numBeams 2/);
  });
});
