import { beforeAll, describe, expect, it } from "vitest";
import { tokenizers } from "../data/index.js";
import { noGrad, tensor } from "../graph/index.js";
import { create, type CausalModel } from "../models/index.js";
import { manualSeed } from "../ops/index.js";
import "../runtime/index.js";
import { answerQuestions } from "./answers.js";
import { evaluateSamples, evaluateText } from "./evaluate-text.js";
import { likelihoods } from "./likelihood.js";
import { bitsPerByte } from "./metrics.js";
import { encodePair, multipleChoice } from "./multiple-choice.js";

const lines = Array.from({ length: 60 }, (_, i) => `the ${["cat", "dog", "bird"][i % 3]} sat on the ${["mat", "log"][i % 2]}, or not?\n`);
let tokenizer: tokenizers.Tokenizer;
let bare: tokenizers.Tokenizer;
let model: CausalModel;

beforeAll(async () => {
  tokenizer = await tokenizers.trainByteLevelBpe(lines, { vocabSize: 290, roles: { bos: "<end>", eos: "<end>" } });
  bare = await tokenizers.trainByteLevelBpe(lines, { vocabSize: 290, specialTokens: [] });
  manualSeed(3);
  const config = { model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 16, n_positions: 24, vocab_size: tokenizer.vocabSize, initializer_range: 0.5 };
  model = await create<CausalModel>(config);
});

/** ln p of each token given all before it, one forward pass per sequence, softmax by hand. */
async function logprobs(ids: readonly number[]): Promise<number[]> {
  model.eval();
  const { logits } = noGrad(() => model.forward(tensor([[...ids]], { dtype: "i32" })));
  const [, , V] = logits.shape;
  const values = await logits.data();
  return ids.slice(1).map((id, i) => {
    const row = Array.from(values.subarray(i * V, (i + 1) * V));
    return row[id] - Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));
  });
}
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe("likelihoods", () => {
  it("are sums over the labels, whatever the batches are", async () => {
    const samples = [5, 3, 12, 24, 25, 2].map((length, i) => {
      const inputIds = Int32Array.from({ length }, (_, t) => (7 * t * (i + 1) + i) % tokenizer.vocabSize);
      return { inputIds, labels: inputIds.slice().fill(-100, 0, Math.floor(length / 2)) };
    });
    const expected: number[] = [];
    for (const { inputIds } of samples) {
      const all = [...inputIds]; // 25 tokens: the last one is not fed, so compute it from the 24 before
      const values = all.length <= 24 ? await logprobs(all) : await lastOf(all);
      expected.push(sum(values.slice(Math.max(0, Math.floor(all.length / 2) - 1))));
    }
    model.train();
    for (const batchSize of [1, 4, 16]) {
      const found = await likelihoods(model, samples, { batchSize });
      found.forEach(({ logprob, tokens }, i) => {
        expect(logprob).toBeCloseTo(expected[i], 4);
        expect(tokens).toBe(samples[i].inputIds.length - Math.max(1, Math.floor(samples[i].inputIds.length / 2)));
      });
    }
    expect(model.training).toBe(true);
    model.eval();
  });

  /** Of one token more than there are positions for. */
  async function lastOf(all: readonly number[]): Promise<number[]> {
    const { logits } = noGrad(() => model.forward(tensor([all.slice(0, -1)], { dtype: "i32" })));
    const values = await logits.data();
    const V = logits.shape[2];
    const row = Array.from(values.subarray(23 * V, 24 * V));
    return [...(await logprobs(all.slice(0, -1))), row[all[24]] - Math.log(row.reduce((total, z) => total + Math.exp(z), 0))];
  }

  it("say whether greedy generation would write the same", async () => {
    const ids = [1, 2, 3];
    const { logits } = noGrad(() => model.forward(tensor([ids], { dtype: "i32" }), { logitsToKeep: 1 }));
    const values = Array.from(await logits.data());
    const best = values.indexOf(Math.max(...values));
    const sample = (next: number) => ({ inputIds: Int32Array.from([...ids, next]), labels: Int32Array.from([-100, -100, -100, next]) });
    const [good, bad] = await likelihoods(model, [sample(best), sample((best + 1) % 100)]);
    expect([good.greedy, bad.greedy]).toEqual([true, false]);
  });

  it("refuse what is too long, and encoders", async () => {
    const long = new Int32Array(26);
    await expect(likelihoods(model, [{ inputIds: long, labels: long }])).rejects.toThrow(/sample 0 has 26 tokens, the model has positions for 24/);
    const encoder = await create({ model_type: "bert", vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8 });
    await expect(likelihoods(encoder, [])).rejects.toThrow(/BertForMaskedLM does not predict next tokens/);
  });
});

describe("multiple choice", () => {
  it("splits context and continuation where the joined text splits", () => {
    const { context, continuation } = encodePair(tokenizer, "the cat  ", "sat");
    expect(tokenizer.decode(context)).toBe("the cat"); // the spaces went to the continuation
    expect(tokenizer.decode(continuation)).toBe("  sat");
    expect(encodePair(tokenizer, "", "the cat").context).toEqual([tokenizer.eosId]);
    expect(() => encodePair(bare, "", "cat")).toThrow(/the context is empty/);
  });

  it("agrees with a slow computation of its own", async () => {
    const questions = [
      { prompt: "the cat sat on the", choices: ["mat", "log, or not", "é"], answer: 1, place: "1" },
      { prompt: "the bird ", choices: ["sat", "dog"], answer: 0, place: "2" },
      { prompt: "", choices: ["the dog sat", "bird"], answer: 1, place: "3" },
      { prompt: "the cat sat on the mat, or not? ".repeat(8), choices: ["the", "not a cat"], answer: 0, place: "4" },
    ];
    const result = await multipleChoice(model, tokenizer, questions, { batchSize: 3 });
    let [right, rightNorm, rightBytes] = [0, 0, 0];
    for (const [i, { prompt, choices, answer }] of questions.entries()) {
      const sums: number[] = [];
      for (const choice of choices) {
        const trimmed = prompt.replace(/\s+$/, "");
        const whole = tokenizer.encode(`${prompt} ${choice}`);
        const count = trimmed === "" ? tokenizer.encode(` ${choice}`).length : whole.length - tokenizer.encode(trimmed).length;
        const ids = trimmed === "" ? [tokenizer.eosId!, ...tokenizer.encode(`${prompt} ${choice}`)] : whole;
        const kept = ids.slice(-25); // 24 positions, and the last token is only predicted
        const values = kept.length < 25 ? await logprobs(kept) : [...(await logprobs(kept.slice(0, -1))), await one(kept)];
        sums.push(sum(values.slice(-count)));
      }
      sums.forEach((value, c) => expect(result.choices[i].logprobs[c]).toBeCloseTo(value, 4));
      const top = (values: readonly number[]): number => values.indexOf(Math.max(...values));
      if (top(sums) === answer) right++;
      if (top(sums.map((value, c) => value / choices[c].length)) === answer) rightNorm++;
      if (top(sums.map((value, c) => value / new TextEncoder().encode(choices[c]).length)) === answer) rightBytes++;
    }
    expect(result).toMatchObject({ acc: right / 4, acc_norm: rightNorm / 4, acc_bytes: rightBytes / 4, questions: 4, truncated: 1 });
    expect(result.acc_stderr).toBeCloseTo(Math.sqrt(((right / 4) * (1 - right / 4)) / 3), 12);
  });

  async function one(ids: readonly number[]): Promise<number> {
    const { logits } = noGrad(() => model.forward(tensor([ids.slice(0, -1)], { dtype: "i32" }), { logitsToKeep: 1 }));
    const row = Array.from(await logits.data());
    return row[ids[ids.length - 1]] - Math.log(row.reduce((total, z) => total + Math.exp(z), 0));
  }

  it("names what it cannot measure", async () => {
    await expect(multipleChoice(model, tokenizer, [])).rejects.toThrow(/there are no questions/);
    await expect(multipleChoice(model, tokenizer, [{ prompt: "a", choices: ["b", "xyz ".repeat(40)], answer: 0, place: "q.jsonl, line 1" }])).rejects.toThrow(/q\.jsonl, line 1: choice 1 has \d+ tokens, the model has positions for 24/);
  });
});

describe("texts", () => {
  /** Each token once, from at most 24 tokens before it: those of its window. */
  async function slowly(texts: readonly string[], stride: number): Promise<{ nats: number; tokens: number }> {
    let [nats, tokens] = [0, 0];
    for (const text of texts) {
      const ids = [tokenizer.eosId!, ...tokenizer.encode(text)];
      for (let open = 1; open < ids.length; ) {
        const end = Math.min(ids.length, open + (open === 1 ? 24 : stride));
        const begin = Math.max(0, end - 25);
        for (let at = open; at < end; at++) {
          const context = ids.slice(begin, at);
          const { logits } = noGrad(() => model.forward(tensor([context], { dtype: "i32" }), { logitsToKeep: 1 }));
          const row = Array.from(await logits.data());
          nats -= row[ids[at]] - Math.log(row.reduce((total, z) => total + Math.exp(z), 0));
          tokens++;
        }
        open = end;
      }
    }
    return { nats, tokens };
  }

  it.each([24, 7])("are read in windows with stride %i", async (stride) => {
    const texts = [lines.slice(0, 5).join(""), "the cat", lines[7]];
    const found = await evaluateText(model, tokenizer, texts, { stride, batchSize: 3 });
    const { nats, tokens } = await slowly(texts, stride);
    const bytes = texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
    expect(found).toMatchObject({ tokens, bytes, documents: 3, windowed: 1 });
    expect(found.loss).toBeCloseTo(nats / tokens, 4);
    expect(found.perplexity).toBeCloseTo(Math.exp(found.loss), 6);
    expect(found.bits_per_byte).toBeCloseTo(bitsPerByte(found.loss * tokens, bytes), 10);
  });

  it("come in pieces as they come whole; without a token that begins texts the first one does not count", async () => {
    const whole = await evaluateText(model, tokenizer, [lines.slice(0, 6).join("")]);
    const pieces = await evaluateText(model, tokenizer, lines.slice(0, 6).map((text, i) => ({ text, last: i === 5 })));
    const { loss, perplexity, bits_per_byte, ...counts } = whole;
    expect(pieces).toMatchObject(counts);
    for (const [name, value] of Object.entries({ loss, perplexity, bits_per_byte })) expect(pieces[name as "loss"] / value).toBeCloseTo(1, 5);
    const text = "the cat";
    const ids = bare.encode(text);
    expect(await evaluateText(model, bare, [text])).toMatchObject({ tokens: ids.length - 1, bytes: text.length - bare.decode([ids[0]]).length });
    await expect(evaluateText(model, tokenizer, [])).rejects.toThrow(/there is no token to predict/);
  });

  it("count only the answers of samples", async () => {
    const inputIds = Int32Array.from(tokenizer.encode("the cat sat"));
    const labels = inputIds.slice().fill(-100, 0, inputIds.length - 1);
    const found = await evaluateSamples(model, [{ inputIds, labels }], { tokenizer });
    expect(found.tokens).toBe(1);
    expect(found.loss).toBeCloseTo(-(await logprobs([...inputIds])).at(-1)!, 4);
    expect(found.bytes).toBe(tokenizer.decode([inputIds[inputIds.length - 1]]).length);
  });
});

describe("answers", () => {
  it("are generated greedily and compared", async () => {
    const prompt = "the cat";
    const first = await answerQuestions(model, tokenizer, [{ prompt, answers: ["?"], place: "1" }], { maxNewTokens: 5, stop: [] });
    expect(first).toMatchObject({ exact_match: 0, questions: 1, truncated: 0 });
    const again = await answerQuestions(model, tokenizer, [{ prompt, answers: ["no", first.predictions[0]], place: "1" }, { prompt: "the dog ".repeat(30), answers: ["\0"], place: "2" }], { maxNewTokens: 5, stop: [], normalize: false });
    expect(again).toMatchObject({ exact_match: 0.5, truncated: 1 });
    const letter = [...first.predictions[0]].find((c) => /\S/.test(c))!;
    const cut = await answerQuestions(model, tokenizer, [{ prompt, answers: [""], place: "1" }], { maxNewTokens: 5, stop: [letter] });
    expect(cut.predictions[0]).toBe(first.predictions[0].slice(0, first.predictions[0].indexOf(letter)).trim());
    await expect(answerQuestions(model, tokenizer, [{ prompt, answers: ["x"], place: "1" }], { maxNewTokens: 24 })).rejects.toThrow(/maxNewTokens is 24, the model has positions for 24/);
  });
});
