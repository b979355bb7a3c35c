import { GraftError, didYouMean } from "../../base/index.js";
import type { ImageDataset } from "../image-dataset.js";
import { loadDigits } from "./digits.js";
import { fashionMnist, loadIdxSet, mnist, type IdxSetOptions } from "./mnist.js";

/** Options of {@link load}. */
export interface LoadOptions extends IdxSetOptions {
  /** `digits` only: enlarge the 8x8 pictures this many times (2 gives 16x16). Default 1. */
  readonly scale?: number;
}

/** A known data set. */
export interface KnownDataset {
  readonly train: ImageDataset;
  readonly test: ImageDataset;
  readonly classes: readonly string[];
  /** [C, H, W] of a picture. */
  readonly inputShape: readonly [channels: number, height: number, width: number];
}

const loaders: Readonly<Record<string, (options: LoadOptions) => Promise<{ train: ImageDataset; test: ImageDataset }>>> = {
  digits: loadDigits,
  mnist: (options) => loadIdxSet(mnist, options),
  "fashion-mnist": (options) => loadIdxSet(fashionMnist, options),
};

/** Names that {@link load} knows. */
export const knownDatasets: readonly string[] = Object.keys(loaders);

/**
 * A known data set by its name. `digits` is part of the package; `mnist` and `fashion-mnist` are read from their idx files, in `root`, in
 * `$GRAFT_DATA/<name>` or in `~/.cache/graft/<name>`, and fetched into there from their public address when they are missing.
 *
 * Throws `argument` for an unknown name, `network` (with the folder to put the files into) when they cannot be fetched, `file` when they are missing and `download` is false.
 *
 * @example
 * const { train, test, classes, inputShape } = await load("digits", { scale: 2 }); // inputShape [1, 16, 16]
 */
export async function load(name: string, options: LoadOptions = {}): Promise<KnownDataset> {
  const loader = Object.hasOwn(loaders, name) ? loaders[name] : undefined;
  if (loader === undefined) {
    throw new GraftError("argument", `data.load: there is no known data set "${name}".${didYouMean(name, knownDatasets)} Known: ${knownDatasets.join(", ")}.`);
  }
  if (options.scale !== undefined && name !== "digits") {
    throw new GraftError("argument", `data.load: scale is for digits, "${name}" has a size of its own. Use transforms.resize.`);
  }
  const { train, test } = await loader(options);
  const { channels, height, width } = train.options;
  return { train, test, classes: train.classes, inputShape: [channels, height, width] };
}
