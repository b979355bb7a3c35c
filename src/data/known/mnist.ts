import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { env, GraftError } from "../../base/index.js";
import { readIdx } from "../idx.js";
import { ImageDataset } from "../image-dataset.js";
import { download, type Expected } from "./download.js";

/** A data set of four idx files in the manner of MNIST. */
export interface IdxSet {
  readonly name: string;
  readonly classes: readonly string[];
  /** Public address of the folder with the files. */
  readonly mirror: string;
  /** By name without `.gz`. */
  readonly files: Readonly<Record<string, Expected>>;
}

const images = (part: string): string => `${part}-images-idx3-ubyte`;
const labels = (part: string): string => `${part}-labels-idx1-ubyte`;

/** Handwritten digits, 60,000 + 10,000 of 28x28 (LeCun, Cortes, Burges 1998; CC BY-SA 3.0). */
export const mnist: IdxSet = {
  name: "mnist",
  classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  mirror: "https://ossci-datasets.s3.amazonaws.com/mnist/",
  files: {
    [images("train")]: { bytes: 9_630_610, sha256: "71524e2cd1ad2968737f7f2f2ff69cbfc32df8ccddff51593f7cb2d4e0eb5b64" },
    [labels("train")]: { bytes: 28_881, sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c" },
    [images("t10k")]: { bytes: 1_648_877, sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6" },
    [labels("t10k")]: { bytes: 4_542, sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6" },
  },
};

/** Pictures of clothes, as many and as large as MNIST's (Xiao, Rasul, Vollgraf 2017; MIT). The address is plain http; the checksums guard it. */
export const fashionMnist: IdxSet = {
  name: "fashion-mnist",
  classes: ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
  mirror: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
  files: {
    [images("train")]: { bytes: 26_192_508, sha256: "a26751d72d89606ffbfdd4dd5d16911f01e93a7ff4783c95da7307a073d79fa7" },
    [labels("train")]: { bytes: 29_515, sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845" },
    [images("t10k")]: { bytes: 4_383_619, sha256: "78cb45a589ec14266eab4ac0cb2e9e10a4c076ae2d337fe86383d761bff83f32" },
    [labels("t10k")]: { bytes: 5_148, sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5" },
  },
};

/** Where to look, and whether to fetch. */
export interface IdxSetOptions {
  /** Folder with the four files (or with a folder of the set's name). Default: `$GRAFT_DATA/<name>`, or else `~/.cache/graft/<name>`. */
  readonly root?: string;
  /** Fetch files that are missing (default true). */
  readonly download?: boolean;
  /** Address to fetch from instead of the public one. */
  readonly mirror?: string;
}

/** Finds or fetches the files of a set and reads them. */
export async function loadIdxSet(set: IdxSet, options: IdxSetOptions): Promise<{ train: ImageDataset; test: ImageDataset }> {
  const read = async (part: string): Promise<ImageDataset> => {
    const [pixelFile, labelFile] = [await locate(set, images(part), options), await locate(set, labels(part), options)];
    const [pixels, numbers] = [await readIdx(pixelFile), await readIdx(labelFile)];
    if (pixels.dtype !== "u8" || pixels.shape.length !== 3 || numbers.shape.length !== 1 || numbers.shape[0] !== pixels.shape[0]) {
      throw new GraftError(
        "format",
        `${set.name}: ${pixelFile} holds ${pixels.dtype} [${pixels.shape.join(", ")}], ${labelFile} [${numbers.shape.join(", ")}]; wanted are u8 [N, H, W] and [N]. Check the files.`,
      );
    }
    const [, height, width] = pixels.shape;
    return new ImageDataset(pixels.data as Uint8Array, Int32Array.from(numbers.data), { name: labelFile, channels: 1, height, width, maximum: 255, classes: set.classes });
  };
  return { train: await read("train"), test: await read("t10k") };
}

/** The path of a file of the set, packed or not; it is fetched when it is in none of the folders. */
async function locate(set: IdxSet, name: string, { root, download: allowed = true, mirror = set.mirror }: IdxSetOptions): Promise<string> {
  const home = root ?? (env.data !== "" ? join(env.data, set.name) : join(homedir(), ".cache", "graft", set.name));
  const folders = root === undefined ? [home] : [root, join(root, set.name)];
  for (const folder of folders) {
    for (const file of [join(folder, name), join(folder, `${name}.gz`)]) if (await exists(file)) return file;
  }
  const help = `Put ${Object.keys(set.files).join(".gz, ")}.gz into ${home}, or say where they are with root or GRAFT_DATA.`;
  if (!allowed) throw new GraftError("file", `${set.name}: ${name}.gz is not in ${folders.join(" or ")}. ${help}`);
  const file = join(home, `${name}.gz`);
  await download(`${mirror.replace(/\/?$/, "/")}${name}.gz`, file, set.files[name]).catch((cause: unknown) => {
    if (!(cause instanceof GraftError)) throw cause;
    throw new GraftError(cause.code, `${set.name}: ${cause.message} ${help}`, { cause });
  });
  return file;
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
