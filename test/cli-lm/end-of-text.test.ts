import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, models } from "graftml";
import { afterAll, expect, it } from "vitest";
import { textAfter } from "../../src/cli/sampling.js";
import { scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

it("a text ends where generation_config.json says, else config.json, else the tokenizer", async () => {
  const golden = fileURLToPath(new URL("../golden/models/llama", import.meta.url));
  const { vocab_size: size, eos_token_id: _, ...config } = JSON.parse(readFileSync(join(golden, "config.json"), "utf8")) as { vocab_size: number; eos_token_id: unknown };
  const all = Array.from({ length: size }, (_, i) => i);
  const tokenizer = await data.tokenizers.trainCharacters(["abc"], { roles: { eos: "</s>" } });
  const written = async (name: string, generation: object, more: object): Promise<number> => {
    const folder = join(dir, name);
    cpSync(golden, folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, vocab_size: size, ...more }));
    writeFileSync(join(folder, "generation_config.json"), JSON.stringify(generation));
    const model = await models.load<models.CausalModel>(folder);
    expect(models.endTokens(model)).toEqual(name === "tokenizer" ? [] : all);
    const seen: number[] = [];
    const told = Object.assign(Object.create(tokenizer) as data.tokenizers.Tokenizer, { decode: (ids: readonly number[]) => (seen.push(ids.length), "") });
    if (name === "tokenizer") {
      const { sequences } = await models.generate(model, [1], { maxNewTokens: 1 }); // the token that it takes first is the end
      Object.defineProperty(told, "eosId", { value: sequences[0].at(-1) });
    }
    for await (const piece of textAfter({ model, tokenizer: told }, [1], { maxNewTokens: 4 })) void piece;
    return seen.length - 1; // one for each new token
  };
  expect(await written("generation", { eos_token_id: all }, {})).toBe(1);
  expect(await written("config", {}, { eos_token_id: all })).toBe(1);
  expect(await written("tokenizer", {}, { eos_token_id: null })).toBe(1);
});
