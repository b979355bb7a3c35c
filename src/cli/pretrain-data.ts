import { stat } from "node:fs/promises";
import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { Random, text, tokenizers } from "../data/index.js";
import { note, grouped } from "./output.js";
import type { PretrainRecipe } from "./pretrain-recipe.js";

const endOfText = "<|endoftext|>";

/** A tokenizer and two token files. */
export interface PretrainData {
  readonly tokenizer: tokenizers.Tokenizer;
  readonly train: text.TokenFile;
  readonly valid: text.TokenFile;
}

/** The files of the recipe: all, or as many as fit into `maxBytes`, chosen at random by the seed. */
async function filesOf({ data: { path, extensions, maxBytes }, training: { seed } }: PretrainRecipe): Promise<string[]> {
  const files = await text.listFiles(path, { extensions });
  if (maxBytes === undefined || files.length === 1) return files;
  const chosen: string[] = [];
  let room = maxBytes;
  for (const i of new Random(seed, { purpose: "split" }).permutation(files.length)) {
    const { size } = await stat(files[i]);
    if (size > room) continue;
    room -= size;
    chosen.push(files[i]);
  }
  return chosen.sort();
}

function trainTokenizer(source: tokenizers.Texts, kind: "bytes" | "characters" | "wordpiece", vocabSize: number): Promise<tokenizers.Tokenizer> {
  if (kind === "characters") return tokenizers.trainCharacters(source);
  if (kind === "wordpiece") return tokenizers.trainWordPiece(source, { vocabSize, minFrequency: 2 });
  return tokenizers.trainByteLevelBpe(source, { vocabSize, minFrequency: 2, roles: { eos: endOfText, bos: endOfText } });
}

/** Trains the tokenizer and writes the token files into the folder of the run; with `reuse` those that are there are taken. */
export async function pretrainData(recipe: PretrainRecipe, out: string, reuse: boolean): Promise<PretrainData> {
  const folder = join(out, "tokens");
  const [trainFile, validFile] = [join(folder, "train.bin"), join(folder, "valid.bin")];
  const open = (tokenizer: tokenizers.Tokenizer): PretrainData => ({ tokenizer, train: text.TokenFile.open(trainFile), valid: text.TokenFile.open(validFile) });
  if (reuse) return open(await tokenizers.Tokenizer.load(out));
  const { objective, data: { field, valid }, tokenizer: { kind = objective === "mlm" ? "wordpiece" : "bytes", vocabSize }, training: { seed } } = recipe;
  if (objective === "mlm" && kind !== "wordpiece") throw new GraftError("config", `tokenizer.kind is ${kind}, which has no mask token. Use wordpiece with objective mlm.`);
  const files = await filesOf(recipe);
  const source = text.texts(files, { field });
  const tokenizer = await trainTokenizer(source, kind, vocabSize);
  await tokenizer.save(out);
  const made = await text.prepareTokens(files, tokenizer, folder, { field, seed, validFraction: valid });
  const { tokens, bytes } = made.train;
  note(`${files.length} file(s), ${tokenizer.vocabSize} token types; ${grouped(tokens)} tokens to train on, ${grouped(made.valid.tokens)} to measure with, ${(bytes / tokens).toFixed(2)} bytes per token`);
  return open(tokenizer);
}
