import { join, resolve } from "node:path";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { tokenizers } from "../../data/index.js";
import { readJson } from "../../io/index.js";
import { save } from "../../models/index.js";
import { loadPeft, mergeAndUnload } from "../../tune/index.js";
import { UsageError } from "../exit.js";
import { openTextModel } from "../open-text-model.js";
import { print } from "../output.js";

interface Flags {
  readonly model?: string;
  readonly out?: string;
}

const help = `
Examples:
  graft merge runs/ada
  graft merge adapters/ada --model models/stories260k --out runs/ada-merged`;

/** `graft merge ADAPTER` */
export function setUp(command: Command): void {
  command
    .argument("<adapter>", "folder of a PEFT adapter")
    .option("--model <folder>", "the model that the adapter was made for (default: what its config names)")
    .option("--out <folder>", "where the merged model goes (default: ADAPTER/merged)")
    .addHelpText("after", help)
    .action(merge);
}

async function merge(adapter: string, flags: Flags): Promise<void> {
  const { base_model_name_or_path: named } = await readJson(join(adapter, "adapter_config.json"));
  const base = flags.model ?? (typeof named === "string" && named !== "" ? named : undefined);
  if (base === undefined) throw new GraftError("config", `merge: ${adapter}/adapter_config.json does not name its model. Say --model FOLDER.`);
  const out = flags.out ?? join(adapter, "merged");
  if (resolve(out) === resolve(base)) throw new UsageError("merge: --out is the folder of the model itself. Choose another one.");
  const { model, tokenizer } = await openTextModel(base);
  await loadPeft(model, adapter);
  await mergeAndUnload(model);
  await save(out, model);
  await (await tokenizers.Tokenizer.load(adapter).catch(() => tokenizer)).save(out); // the one that the adapter was trained with
  print(`saved to ${out}; try: graft generate ${out} "..."`);
}
