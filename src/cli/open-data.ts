import { stat } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { didYouMean, GraftError } from "../base/index.js";
import {
  imageFolder, ImageDataset, knownDatasets, load, randomSplit, readCsv, readIdx, stratifiedSplit, TensorDataset, map, type Dataset, type HostArray, type Table,
} from "../data/index.js";
import type { Shape } from "../graph/index.js";
import type { Preprocess } from "../models/index.js";
import type { DataSource } from "./data-schema.js";
import type { TrainingData } from "./define.js";

type Labelled = Dataset<unknown> & { readonly labels?: Int32Array };

/** Data as they are, before the split. */
interface Whole {
  readonly train: Labelled;
  readonly test: Labelled | undefined;
  readonly classes: readonly string[] | undefined;
  readonly inputShape: Shape;
  readonly preprocess: Preprocess;
}

/** Data from a source, cut into their parts; everything random comes from `seed`. */
export async function openData(source: DataSource, { base = ".", seed = 0, preprocess }: { readonly base?: string; readonly seed?: number; readonly preprocess?: Preprocess } = {}): Promise<TrainingData> {
  const whole = await openWhole(source, (path) => resolve(base, path));
  const { classes, inputShape } = whole;
  let { train, test } = whole;
  if (test === undefined) [train, test] = cut(train, source.test ?? 0.2, seed, "test");
  if (source.limit !== undefined && source.limit < train.length) train = cut(train, 1 - source.limit / train.length, seed, "limit")[0];
  const [rest, valid] = cut(train, source.valid ?? 0.1, seed, "valid");
  const parts = { train: rest, valid, test, classes, inputShape, preprocess: whole.preprocess, source: absolute(source, base) };
  if (source.csv === undefined || source.standardize === false) return parts;
  const scaling = preprocess?.mean === undefined ? await spread(rest, inputShape[0]) : (preprocess as unknown as Scaling);
  const scaled = (part: Labelled | undefined): Labelled | undefined => part && standardized(part, scaling);
  return { ...parts, train: scaled(rest)!, valid: scaled(valid), test: scaled(test), preprocess: { ...parts.preprocess, ...scaling } };
}

/** What is subtracted from each input, and what it is then divided by. */
interface Scaling {
  readonly mean: number[];
  readonly std: number[];
}

/** Mean and standard deviation of each input; one that never changes is divided by 1. */
async function spread(dataset: Labelled, inputs: number): Promise<Scaling> {
  const rows: ArrayLike<number>[] = [];
  for (let i = 0; i < dataset.length; i++) rows.push(((await dataset.get(i)) as readonly HostArray[])[0].data);
  const average = (value: (row: ArrayLike<number>) => number): number => rows.reduce((sum, row) => sum + value(row), 0) / rows.length;
  const mean = Array.from({ length: inputs }, (_, i) => average((row) => row[i]));
  return { mean, std: mean.map((m, i) => Math.sqrt(average((row) => (row[i] - m) ** 2)) || 1) };
}

function standardized(dataset: Labelled, { mean, std }: Scaling): Labelled {
  return map(dataset, (sample) => {
    const [{ data, ...rest }, ...others] = sample as readonly HostArray[];
    return [{ ...rest, data: Float32Array.from(data, (value, i) => (value - mean[i]) / std[i]) }, ...others];
  });
}

/** The same source with paths that hold in any folder, to be kept beside a model. */
function absolute(source: DataSource, base: string): DataSource {
  const full = (path: string): string => resolve(base, path);
  const { idx } = source;
  const paths = Object.fromEntries((["root", "csv", "testCsv", "folder", "testFolder"] as const).flatMap((key) => (source[key] === undefined ? [] : [[key, full(source[key])]])));
  return { ...source, ...paths, ...(idx === undefined ? {} : { idx: Object.fromEntries(Object.entries(idx).map(([key, path]) => [key, full(path)])) as typeof idx }) };
}

/** Cuts a share off, in proportion from every class where there are classes. */
function cut(dataset: Labelled, share: number, seed: number, what: string): [Labelled, Labelled | undefined] {
  if (share === 0) return [dataset, undefined];
  const { labels } = dataset;
  const shares = [1 - share, share];
  const parts = labels === undefined ? randomSplit(dataset, shares, { seed }) : stratifiedSplit(dataset, shares, { labels, seed });
  const count = parts[1].length;
  if (count < 1 || count >= dataset.length) throw new GraftError("config", `data: ${what} takes ${count} of ${dataset.length} samples. Leave at least one on both sides.`);
  if (labels === undefined) return [parts[0], parts[1]];
  const [left, right] = parts.map((part) => Object.assign(part, { labels: Int32Array.from(part.indices, (i) => labels[i]) }));
  return [left, right];
}

async function openWhole(source: DataSource, at: (path: string) => string): Promise<Whole> {
  if (source.name !== undefined) return openKnown(source);
  if (source.idx !== undefined) return openIdx(source, at);
  if (source.folder !== undefined) return openFolder(source, at);
  return openCsv(source, at);
}

/** How a picture becomes like those of a known data set; see picture.ts. */
const framing: Readonly<Record<string, Preprocess>> = {
  digits: { size: [8, 8], channels: 1, background: "dark", trim: 0 }, // the digits fill their 8x8 pixels
  mnist: { size: [28, 28], channels: 1, background: "dark", trim: 4 / 28 }, // 20x20 in the middle of 28x28
  "fashion-mnist": { size: [28, 28], channels: 1, background: "dark", trim: 0 },
};

async function openKnown({ name, scale, root, download }: DataSource): Promise<Whole> {
  const { train, test, classes, inputShape } = await load(name!, { scale, root, download });
  return { train, test, classes, inputShape, preprocess: { ...framing[name!], ...(scale === undefined ? {} : { repeat: scale }) } };
}

async function openIdx({ idx, classes: named }: DataSource, at: (path: string) => string): Promise<Whole> {
  const { images, labels, testImages, testLabels } = idx!;
  if ((testImages === undefined) !== (testLabels === undefined)) throw new GraftError("config", "data: idx has testImages or testLabels alone. Give both, or none.");
  const read = async (imageFile: string, labelFile: string, classes?: readonly string[]): Promise<ImageDataset> => {
    const [pictures, found] = [await readIdx(at(imageFile)), await readIdx(at(labelFile))];
    const { shape } = pictures;
    if (pictures.dtype !== "u8" || shape.length < 3 || shape.length > 4 || found.shape.length !== 1 || found.shape[0] !== shape[0]) {
      throw new GraftError("format", `data: ${imageFile} holds ${pictures.dtype} [${shape.join(", ")}], ${labelFile} [${found.shape.join(", ")}]. Wanted are bytes [N, H, W] or [N, C, H, W], and as many labels.`);
    }
    const values = Int32Array.from(found.data);
    const names = classes ?? namesOf(named, values.reduce((most, label) => Math.max(most, label + 1), 0));
    const [channels, height, width] = shape.length === 4 ? shape.slice(1) : [1, shape[1], shape[2]];
    return new ImageDataset(pictures.data as Uint8Array, values, { name: labelFile, channels, height, width, maximum: 255, classes: names });
  };
  const train = await read(images, labels);
  const { channels, height, width } = train.options;
  const test = testImages === undefined ? undefined : await read(testImages, testLabels!, train.classes);
  return { train, test, classes: train.classes, inputShape: [channels, height, width], preprocess: { size: [height, width], channels, background: backgroundOf(train) } };
}

const namesOf = (given: DataSource["classes"], count: number): readonly string[] => (Array.isArray(given) ? given : Array.from({ length: (given as number | undefined) ?? count }, (_, i) => String(i)));

/** Whether most pictures have a dark or a light border: what is drawn is then light or dark. */
function backgroundOf(dataset: ImageDataset): string {
  const { height, width, channels } = dataset.options;
  const count = Math.min(dataset.length, 200);
  let [sum, seen] = [0, 0];
  for (let i = 0; i < count; i++) {
    const { data } = dataset.get(i)[0];
    for (let p = 0; p < channels * height * width; p += 1) {
      const [y, x] = [Math.floor(p / width) % height, p % width];
      if (y === 0 || x === 0 || y === height - 1 || x === width - 1) [sum, seen] = [sum + data[p], seen + 1];
    }
  }
  return sum / seen > 0.5 ? "light" : "dark";
}

async function openFolder({ folder, testFolder, size = 64, channels = 3 }: DataSource, at: (path: string) => string): Promise<Whole> {
  const [height, width] = typeof size === "number" ? [size, size] : size;
  const options = { height, width, channels };
  const train = await imageFolder(at(folder!), options);
  const test = testFolder === undefined ? undefined : await imageFolder(at(testFolder), options);
  if (test !== undefined && test.classes.join("\n") !== train.classes.join("\n")) {
    throw new GraftError("config", `data: ${folder} has the classes ${train.classes.join(", ")}, ${testFolder} has ${test.classes.join(", ")}. Use the same subfolders.`);
  }
  return { train, test, classes: train.classes, inputShape: [channels, height, width], preprocess: { size: [height, width], channels } };
}

async function openCsv(source: DataSource, at: (path: string) => string): Promise<Whole> {
  const table = await readCsv(at(source.csv!));
  if (table.length === 0) throw new GraftError("format", `data: ${source.csv} has no rows below its header.`);
  const targets = [source.target ?? []].flat();
  const features = source.features ?? table.columns.filter((column) => column !== source.label && !targets.includes(column));
  const classes = source.label === undefined ? undefined : table.labels(source.label, { classes: source.classes }).classes;
  const read = (from: Table): Labelled => {
    const inputs = from.numbers(features);
    if (source.label === undefined) return new TensorDataset(inputs, from.numbers(targets));
    const { labels } = from.labels(source.label, { classes });
    return Object.assign(new TensorDataset(inputs, { data: labels, shape: [from.length] }), { labels });
  };
  const test = source.testCsv === undefined ? undefined : read(await readCsv(at(source.testCsv)));
  return { train: read(table), test, classes, inputShape: [features.length], preprocess: { features } };
}

/**
 * What an option `--data NAME|PATH` means: a known data set, a folder of class folders, a folder with a known data set's files, or a .csv file; `like` is what
 * the model was trained on and gives the details. Throws `config` when it is none of them.
 */
export async function namedSource(text: string, like: DataSource | undefined): Promise<DataSource> {
  const { valid, test } = like ?? {};
  if (knownDatasets.includes(text)) return like?.name === text ? like : { name: text, valid, test, ...(text === "digits" && like?.scale !== undefined ? { scale: like.scale } : {}) };
  const found = await stat(text).catch(() => undefined);
  if (found === undefined) {
    throw new GraftError("config", `--data: "${text}" is neither a known data set nor a file or folder.${didYouMean(text, knownDatasets)} Known: ${knownDatasets.join(", ")}.`);
  }
  if (found.isFile() && /\.(csv|tsv)(\.gz)?$/.test(text)) {
    if (like?.csv === undefined) throw new GraftError("config", `--data: the model was not trained on a table, so nobody knows the columns of ${text}. Use data of its kind.`);
    return { ...like, csv: text, testCsv: undefined };
  }
  if (found.isDirectory()) {
    const idx = await stat(join(text, "t10k-images-idx3-ubyte.gz")).catch(() => stat(join(text, "t10k-images-idx3-ubyte"))).then(() => true, () => false);
    if (idx) return { name: like?.name === "fashion-mnist" ? "fashion-mnist" : "mnist", root: text, download: false, valid, test };
    return { folder: text, size: like?.size, channels: like?.channels, valid, test };
  }
  throw new GraftError("config", `--data: ${text} is a ${extname(text) || "plain"} file. Give a known data set (${knownDatasets.join(", ")}), a folder with one subfolder per class, or a .csv file.`);
}
