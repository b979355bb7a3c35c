import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { modelFolder } from "../../io/index.js";
import { save } from "../../models/index.js";
import { mergeAndUnload } from "../../tune/index.js";
import { adapterBase } from "../adapter-base.js";
import { UsageError } from "../exit.js";
import { openWithAdapter } from "../open-tuned-model.js";
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
    .argument("<adapter>", "folder of a PEFT adapter, or owner/name on the hub")
    .option("--model <folder>", "the model that the adapter was made for (default: what its config names)")
    .option("--out <folder>", "where the merged model goes (default: ADAPTER/merged)")
    .addHelpText("after", help)
    .action(merge);
}

async function merge(name: string, flags: Flags): Promise<void> {
  const adapter = await modelFolder(name);
  if (!existsSync(join(adapter, "adapter_config.json"))) throw new GraftError("config", `merge: ${name} holds no adapter: there is no adapter_config.json. Name the folder that graft finetune --method lora, or PEFT, saved.`);
  const base = await adapterBase(adapter, flags.model);
  const out = flags.out ?? (existsSync(name) ? join(adapter, "merged") : join("runs", `${basename(name.split("@")[0])}-merged`));
  if (resolve(out) === resolve(base)) throw new UsageError("merge: --out is the folder of the model itself. Choose another one.");
  const { model, tokenizer } = await openWithAdapter(adapter, base);
  await mergeAndUnload(model);
  await save(out, model);
  await tokenizer.save(out);
  print(`saved to ${out}; try: graft generate ${out} "..."`);
}
