import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { fromData, noGrad, type Tensor } from "../../graph/index.js";
import { classNames } from "../../models/index.js";
import { softmax } from "../../ops/index.js";
import { realize } from "../../runtime/index.js";
import { UsageError } from "../exit.js";
import { allowCodeOption, openModel } from "../open-model.js";
import { print } from "../output.js";
import { picturePreprocess, preparePicture } from "../picture.js";

interface Flags {
  readonly top: string;
  readonly invert?: boolean;
  readonly json?: boolean;
  readonly allowCode?: boolean;
}

const help = `
Pictures (PNG, JPEG, WebP, GIF, TIFF) of any size are brought to what the model was trained on, as its config.json says. Whether a drawing is light on dark
or dark on light is seen from the picture's border; --invert and --no-invert decide instead.

Examples:
  graft predict runs/digits digit.png
  graft predict runs/digits photos/*.jpg --top 1
  graft predict runs/digits scan.png --invert --json`;

/** `graft predict MODEL IMAGE...` */
export function setUp(command: Command): void {
  allowCodeOption(command)
    .argument("<model>", "folder of a saved model")
    .argument("<pictures...>", "picture files")
    .option("--top <n>", "how many classes to print", "3")
    .option("--invert", "swap light and dark")
    .option("--no-invert", "do not swap light and dark")
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", help)
    .action(predict);
}

async function predict(path: string, files: readonly string[], { top, invert, json, allowCode }: Flags): Promise<void> {
  const count = Number(top);
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`predict: --top is "${top}". Use a whole number of 1 or more.`);
  const { model, config } = await openModel(path, { allowCode });
  const preprocess = picturePreprocess(path, config);
  let failed: GraftError | undefined;
  for (const file of files) {
    try {
      const { image, remarks } = await preparePicture(file, preprocess, invert);
      const input = fromData(image.data, [1, image.channels, image.height, image.width], "f32");
      const logits = noGrad(() => model.forward(...([input] as never[])) as Tensor);
      if (logits.shape.length !== 2) throw new GraftError("shape", `${path}: gives [${logits.shape.join(", ")}] for one picture, not one score per class.`);
      const probabilities = noGrad(() => softmax(logits, 1));
      await realize(probabilities);
      const values = Array.from(await probabilities.data());
      const names = classNames(config);
      const ranked = values.map((probability, i) => ({ class: names?.length === values.length ? names[i] : String(i), probability })).sort((a, b) => b.probability - a.probability).slice(0, count);
      if (json) print(JSON.stringify({ file, classes: ranked, remarks }));
      else print(`${file}: ${ranked.map(({ class: name, probability }) => `${name} ${(100 * probability).toFixed(1)} %`).join("  ")}${remarks.length > 0 ? `  (${remarks.join("; ")})` : ""}`);
    } catch (error) {
      if (!(error instanceof GraftError) || files.length === 1) throw error;
      failed = error; // the others are still of use
      process.stderr.write(`graft: ${error.message}\n`);
    }
  }
  if (failed !== undefined) throw new GraftError(failed.code, "predict: some pictures could not be read (see above).");
}
