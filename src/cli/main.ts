import { Command } from "commander";
import { graftVersion } from "../models/index.js";
import { exitCodes, report } from "./exit.js";

/** What a file in commands/ offers: it adds its arguments, options and action to the command. */
export interface CommandModule {
  setUp(command: Command): void;
}

/** All commands; a file is loaded when its command is called. */
const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<CommandModule> }>> = {
  train: { summary: "train a model from a recipe (.yaml) or a program (.ts, .js)", load: () => import("./commands/train.js") },
  eval: { summary: "measure a saved model on data", load: () => import("./commands/eval.js") },
  predict: { summary: "classify pictures with a saved model", load: () => import("./commands/predict.js") },
  inspect: { summary: "layers, parameters, FLOPs and memory of a model, before it runs", load: () => import("./commands/inspect.js") },
  profile: { summary: "where the time of a training step goes: kernels, modules, recording, data", load: () => import("./commands/profile.js") },
  pretrain: { summary: "train a tokenizer and a language model from text (.yaml)", load: () => import("./commands/pretrain.js") },
  finetune: { summary: "fine-tune a language model on conversations or texts", load: () => import("./commands/finetune.js") },
  merge: { summary: "merge an adapter into its model", load: () => import("./commands/merge.js") },
  generate: { summary: "go on from a text with a language model", load: () => import("./commands/generate.js") },
  chat: { summary: "talk with a language model", load: () => import("./commands/chat.js") },
  export: { summary: "write a saved model as GGUF (llama.cpp), ONNX or one safetensors file", load: () => import("./commands/export.js") },
  data: { summary: "list the known data sets, or fetch one", load: () => import("./commands/data.js") },
  info: { summary: "version, backend, instruction set, threads", load: () => import("./commands/info.js") },
};

const examples = `
Examples:
  graft train examples/digits.ts              train, save to runs/digits, then the few-label study
  graft train examples/digits.yaml --epochs 3
  graft eval runs/digits
  graft predict runs/digits digit.png
  graft inspect examples/digits.yaml
  graft profile examples/digits.yaml --trace trace.json
  graft pretrain examples/lm/declarations.yaml   a tokenizer and a small GPT from scratch, from text that every checkout has
  graft generate runs/declarations "export interface"
  graft eval runs/declarations --data valid.txt

Environment: GRAFT_DATA (folder with data sets), GRAFT_THREADS, GRAFT_BACKEND=cpu|wasm|reference, GRAFT_DEBUG=1..4, GRAFT_CHECK=1.
Exit codes: 0 done, 1 a mistake in the input, 2 a mistake in the command line, 130 ended by Ctrl-C.`;

/** The program with all its commands; the named one is complete, of the others only names and summaries are known. */
async function program(called: string | undefined): Promise<Command> {
  const root = new Command("graft").description("Train, fine-tune and examine neural networks.").version(graftVersion(), "-V, --version", "print the version");
  root.helpOption("-h, --help", "print this help").helpCommand("help [command]", "print help on a command").addHelpText("after", examples).showHelpAfterError("(graft --help lists the commands)");
  root.exitOverride().configureHelp({ showGlobalOptions: false });
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = root.command(name).description(`${summary[0].toUpperCase()}${summary.slice(1)}.`).summary(summary).helpOption("-h, --help", "print this help");
    command.exitOverride().showHelpAfterError(`(graft ${name} --help shows how it is used)`);
    if (name === called) (await load()).setUp(command);
  }
  return root;
}

/** A reader such as `head` that has seen enough is no problem. */
const onOutputError = (error: NodeJS.ErrnoException): void => process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.failed);

/**
 * Runs the command line `graft <args>` and returns the exit code; problems are written to stderr.
 * @example
 * process.exitCode = await main(process.argv.slice(2));
 */
export async function main(args: readonly string[]): Promise<number> {
  if (!process.stdout.listeners("error").includes(onOutputError)) process.stdout.on("error", onOutputError);
  try {
    const words = args.filter((word) => !word.startsWith("-"));
    const root = await program(words[0] === "help" ? words[1] : words[0]);
    if (args.length === 0) {
      root.outputHelp();
      return exitCodes.usage;
    }
    await root.parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    return report(error);
  }
}
