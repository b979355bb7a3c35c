import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, models, noGrad, optim, tensor, type Tensor } from "graftml";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "graft-classifier-"))));
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => manualSeed(1));

const sizes = { vocab_size: 20, hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2, max_position_embeddings: 16, initializer_range: 0.5 };
const llama = (more: object = {}): Promise<models.LlamaForSequenceClassification> => models.create({ model_type: "llama", ...sizes, ...more }, { task: "sequence-classification", classes: 3 });
const gpt2 = { model_type: "gpt2", vocab_size: 20, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 8, resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
const ids = (rows: number[][]): Tensor => tensor(rows, { dtype: "i32" });
const logits = async (model: models.TextModel, rows: number[][], mask?: number[][]): Promise<number[]> =>
  [...(await noGrad(() => model.forward(ids(rows), mask === undefined ? {} : { attentionMask: ids(mask) }).logits.data()))].map((value) => Number(value.toFixed(5)));

describe("a decoder that classifies sequences", () => {
  it("looks at the last token that is no padding, by the mask or by the padding's id", async () => {
    const model = (await llama({ pad_token_id: 0 })).eval();
    const alone = await logits(model, [[5, 6, 7]]);
    expect(await logits(model, [[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]])).toEqual([...alone, ...(await logits(model, [[1, 2, 3, 4, 5]]))]);
    const other = (await llama({ pad_token_id: null })).eval();
    expect(await logits(other, [[5, 6, 7, 9, 9]], [[1, 1, 1, 0, 0]])).toEqual(await logits(other, [[5, 6, 7]]));
    expect(await logits(other, [[9, 9, 5, 6]], [[0, 0, 1, 1]])).not.toEqual(await logits(other, [[9, 9, 5, 6]], [[1, 1, 0, 0]]));
  });

  it("learns", async () => {
    const model = await llama({ pad_token_id: 0 });
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.02 });
    const losses: number[] = [];
    for (let step = 0; step < 30; step++) {
      optimizer.zeroGrad();
      const { loss } = model.forward(ids([[5, 6, 0], [7, 8, 9], [2, 0, 0]]), { labels: ids([[0, 1, 2]]).reshape([3]) });
      loss!.backward();
      await optimizer.step();
      losses.push(loss!.item());
    }
    expect(losses.at(-1)).toBeLessThan(0.2);
    expect(model.score.weight.requiresGrad).toBe(true);
  });

  it("begins with the trunk of a language model, and is saved as what it is", async () => {
    const language = await models.create({ ...gpt2 });
    await models.save(join(folder, "language"), language);
    const model = await models.load<models.GPT2ForSequenceClassification>(join(folder, "language"), { task: "sequence-classification", classes: ["bad", "good"] });
    expect(await model.transformer.wte.weight.toArray()).toEqual(await (language as models.GPT2LMHeadModel).transformer.wte.weight.toArray());
    const config = await models.save(join(folder, "classifier"), model);
    expect(config).toMatchObject({ architectures: ["GPT2ForSequenceClassification"], id2label: { 0: "bad", 1: "good" } });
    const again = await models.load<models.TextModel>(join(folder, "classifier"));
    expect(await logits(again, [[1, 2, 3]])).toEqual(await logits(model, [[1, 2, 3]]));
    expect([...again.stateDict().keys()].filter((name) => /lm_head|score/.test(name))).toEqual(["score.weight"]);
  });

  it("says what it cannot do", async () => {
    const model = await llama();
    expect(() => model.forward(ids([[1, 2]]), { attentionMask: ids([[1, 1, 1]]) })).toThrow(/attentionMask.*\[1, 3\]/);
    expect(() => model.forward(ids([[1, 2]]), { attentionMask: tensor([[[1, 0], [1, 1]]], { dtype: "i32" }) })).toThrow(/attentionMask is \[1, 2, 2\], inputIds are \[1, 2\]/);
    expect(() => model.forward(tensor([[1, 2]]))).toThrow(/Pass token ids/);
    await expect(models.generate(model, [1, 2])).rejects.toThrow(/does not predict next tokens/);
    await expect(models.exportGguf(model, join(folder, "x.gguf"))).rejects.toThrow(/no weight like score\.weight/);
    const short = await models.create({ ...gpt2 }, { task: "sequence-classification" });
    expect(() => short.forward(ids([[1, 2, 3, 4, 5, 6, 7, 8, 9]]))).toThrow(/has 9 tokens, the model has positions for 8/);
  });
});
