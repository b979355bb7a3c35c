import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { data, io, models, tensor } from "graftml";
import { exportGguf } from "./gguf.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-export-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

type Model = models.CausalModel;
const golden = (name: string): string => `test/golden/models/${name}`;
const ids = tensor([[3, 17, 42, 8, 90, 11, 5]], { dtype: "i32" });
const logits = async (model: Model): Promise<Float32Array> => (await model.forward(ids).logits.data()) as Float32Array;
const distance = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

/** The way back, written down a second time: llama.cpp's name of a weight to Hugging Face's. */
const back: readonly (readonly [RegExp, string])[] = [
  [/^token_embd/, "model.embed_tokens"], [/^output_norm/, "model.norm"], [/^output\./, "lm_head."], [/^blk/, "model.layers"],
  [/attn_(q|k)_norm/, "self_attn.$1_norm"], [/attn_(q|k|v|qkv)\./, "self_attn.$1_proj."], [/attn_output/, "self_attn.o_proj"], [/attn_norm/, "input_layernorm"],
  [/ffn_(gate|up|down)/, "mlp.$1_proj"], [/post_attention_norm/, "post_attention_layernorm"], [/post_ffw_norm/, "post_feedforward_layernorm"],
];
function hfName(name: string, type: string): string {
  if (type === "gpt2") {
    const table: readonly (readonly [RegExp, string])[] = [
      [/^token_embd/, "transformer.wte"], [/^position_embd/, "transformer.wpe"], [/^output_norm/, "transformer.ln_f"], [/^blk/, "transformer.h"],
      [/attn_norm/, "ln_1"], [/ffn_norm/, "ln_2"], [/attn_qkv/, "attn.c_attn"], [/attn_output/, "attn.c_proj"], [/ffn_up/, "mlp.c_fc"], [/ffn_down/, "mlp.c_proj"],
    ];
    return table.reduce((text, [from, to]) => text.replace(from, to), name);
  }
  const plain = back.reduce((text, [from, to]) => text.replace(from, to), name);
  return plain.replace("ffn_norm", type === "gemma2" ? "pre_feedforward_layernorm" : "post_attention_layernorm").replace("mlp.up_proj", type === "phi3" ? "mlp.gate_up_proj" : "mlp.up_proj");
}

/** A model made from a GGUF file's weights and the config of the original. */
async function rebuilt(file: string, config: models.TextConfig): Promise<Model> {
  const { tensors } = await io.readGguf(file);
  const type = config.model_type;
  const { num_attention_heads: heads, num_key_value_heads: keyHeads } = config as unknown as Record<string, number>;
  const state = new Map<string, io.HostTensor>();
  for (const [name, { shape, data: values }] of tensors) {
    if (name.startsWith("rope_")) continue;
    let [to, dims] = [values.slice(), shape];
    const permuted = /attn_(q|k)\.weight/.exec(name);
    if (permuted && (type === "llama" || type === "mistral")) {
      const width = shape[1];
      const size = shape[0] / (permuted[1] === "q" ? heads : keyHeads);
      for (let row = 0; row < shape[0]; row++) {
        const [head, r] = [Math.floor(row / size), row % size];
        const source = head * size + (r < size / 2 ? 2 * r : 2 * (r - size / 2) + 1); // halves back from neighbours
        to.set(values.subarray(source * width, (source + 1) * width), row * width);
      }
    }
    if (type === "gpt2" && shape.length === 2 && name.startsWith("blk")) {
      dims = [shape[1], shape[0]];
      to = Float32Array.from(values, (_, i) => values[(i % dims[1]) * shape[1] + Math.floor(i / dims[1])]);
    }
    if (type === "gemma2" && name.includes("norm")) to = to.map((v) => v - 1);
    state.set(hfName(name, type), { dtype: "f32", shape: dims, data: to });
  }
  const model = await models.create<Model>(config);
  const missing = [...model.stateDict().keys()].filter((name) => !state.has(name));
  expect(missing.filter((name) => name !== "lm_head.weight")).toEqual([]); // tied
  model.loadStateDict(state, { strict: false });
  return model.eval();
}

describe("a model taken away as GGUF", () => {
  for (const name of ["llama", "llama3-rope", "mistral", "qwen2", "qwen3", "gemma2", "phi3", "gpt2"]) {
    it(`${name}: rebuilt from the file, it has the same logits`, async () => {
      const model = await models.load<Model>(golden(name));
      const file = join(dir, `${name}.gguf`);
      await exportGguf(model, file, { type: "f32" });
      expect(distance(await logits(await rebuilt(file, model.config)), await logits(model))).toBeLessThanOrEqual(name === "gemma2" ? 1e-5 : 0); // (1 + w) - 1 rounds
    });
  }

  it("quantised weights stay near; vectors stay f32, odd rows become f16", async () => {
    const model = await models.load<Model>(golden("llama"));
    const file = join(dir, "q.gguf");
    const exact = await logits(model);
    const range = exact.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (const [type, limit] of [["f16", 0.005], ["bf16", 0.05], ["q8_0", 0.05], ["q4_0", 0.5]] as const) {
      await exportGguf(model, file, { type });
      expect(distance(await logits(await rebuilt(file, model.config)), exact) / range).toBeLessThan(limit);
    }
    const { tensors, metadata } = await io.readGguf(file);
    expect(["blk.0.attn_q.weight", "blk.0.attn_norm.weight", "blk.0.ffn_down.weight"].map((name) => tensors.get(name)!.stored)).toEqual(["q4_0", "f32", "f16"]);
    expect(["general.architecture", "llama.block_count", "llama.attention.head_count_kv", "llama.rope.freq_base", "general.file_type"].map((key) => metadata.get(key)?.value)).toEqual(["llama", 2, 2, 10000, 2]);
  });

  it("carries settings that change what is computed", async () => {
    const read = async (name: string): Promise<io.GgufContent> => {
      const file = join(dir, `${name}-settings.gguf`);
      await exportGguf(await models.load(golden(name)), file);
      return io.readGguf(file);
    };
    expect((await read("mistral")).metadata.get("llama.context_length")?.value).toBe(6); // its window, which llama.cpp does not apply
    expect((await read("gemma2")).metadata.get("gemma2.attention.sliding_window")?.value).toBe(6);
    const factors = (await read("llama3-rope")).tensors.get("rope_freqs.weight")!.data; // wavelengths: 6.3 of 16 positions and more
    expect(factors).toHaveLength(4);
    expect([...factors].at(-1)).toBe(8);
  });

  it("refuses what llama.cpp cannot do", async () => {
    const small = { vocab_size: 32, hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 };
    const attempt = async (config: Parameters<typeof models.create>[0]): Promise<number> => exportGguf(await models.create(config), join(dir, "no.gguf"));
    await expect(attempt({ model_type: "bert", ...small } as never)).rejects.toThrow(/bert cannot be written as GGUF/);
    await expect(attempt({ model_type: "llama", hidden_act: "gelu", ...small } as never)).rejects.toThrow(/activation is "gelu"/);
    await expect(attempt({ model_type: "llama", rope_scaling: { type: "dynamic", factor: 2 }, ...small } as never)).rejects.toThrow(/rope scaling is "dynamic"/);
    await expect(readFile(join(dir, "no.gguf"))).rejects.toThrow(/ENOENT/);
  });
});

describe("its tokenizer", () => {
  const words = async (tokenizer: data.tokenizers.Tokenizer): Promise<io.GgufContent["metadata"]> => {
    const config = { model_type: "llama", vocab_size: tokenizer.vocabSize + 2, hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 } as const;
    await exportGguf(await models.create(config), join(dir, "words.gguf"), { tokenizer });
    return (await io.readGguf(join(dir, "words.gguf"))).metadata;
  };

  it("byte-level BPE: tokens, kinds, merges", async () => {
    const tokenizer = await data.tokenizers.trainByteLevelBpe(["low lower lowest low"], { vocabSize: 260 });
    const found = await words(tokenizer);
    expect(found.get("tokenizer.ggml.model")?.value).toBe("gpt2");
    expect(found.get("tokenizer.ggml.pre")?.value).toBe("gpt-2");
    const tokens = found.get("tokenizer.ggml.tokens")!.value as readonly string[];
    expect(tokens).toHaveLength(tokenizer.vocabSize + 2);
    expect(tokens.at(-1)).toBe(`[PAD${tokenizer.vocabSize + 1}]`);
    expect((found.get("tokenizer.ggml.merges")!.value as readonly string[])[0]).toBe("l o");
    expect((found.get("tokenizer.ggml.token_type")!.value as readonly number[]).at(-1)).toBe(5);
  });

  it("SentencePiece's BPE: scores in the order of the merges", async () => {
    const vocab = Object.fromEntries(["<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁ab"].map((token, id) => [token, id]));
    const special = ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }));
    const tokenizer = await data.tokenizers.Tokenizer.from({
      json: {
        version: "1.0",
        added_tokens: special,
        normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }] },
        pre_tokenizer: null,
        post_processor: null,
        decoder: null,
        model: { type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, vocab, merges: [["a", "b"], ["▁", "ab"]] },
      },
      config: { bos_token: "<s>", eos_token: "</s>" },
    });
    const found = await words(tokenizer);
    expect(found.get("tokenizer.ggml.token_type")?.value).toEqual([2, 3, 3, 6, 1, 1, 1, 1, 1, 5, 5]);
    expect(found.get("tokenizer.ggml.scores")?.value).toEqual([0, 0, 0, 0, -2, -2, -2, -0, -1, 0, 0]);
    expect(["add_space_prefix", "add_bos_token", "bos_token_id", "eos_token_id"].map((key) => found.get(`tokenizer.ggml.${key}`)?.value)).toEqual([true, false, 1, 2]);
  });

  it("refuses kinds that llama.cpp would split otherwise", async () => {
    const tokenizer = await data.tokenizers.trainWordPiece(["low lower lowest"], { vocabSize: 30 });
    await expect(words(tokenizer)).rejects.toThrow(/of the kind WordPiece.*--no-tokenizer/);
  });
});
