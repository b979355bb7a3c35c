import { GraftError } from "../base/index.js";
import { fromData, type Tensor } from "../graph/index.js";
import { checkIndex, map, type Dataset } from "./dataset.js";
import { checkLabels } from "./labels.js";
import type { Random } from "./random.js";
import type { Image } from "./sample.js";
import type { Transform } from "./transforms/index.js";

/** Size and meaning of the pixels of an {@link ImageDataset}. */
export interface ImageDatasetOptions {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** The byte that becomes 1.0. */
  readonly maximum: number;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Shown in messages. */
  readonly name?: string;
}

/** Pictures kept as bytes, with labels: samples are [picture with values 0 to 1, label]. */
export class ImageDataset implements Dataset<readonly [Image, number]> {
  readonly classes: readonly string[];
  readonly length: number;

  /** Throws `shape` when the bytes are not one picture per label, `index` (with the row) for a label out of range. */
  constructor(
    readonly pixels: Uint8Array,
    readonly labels: Int32Array,
    readonly options: ImageDatasetOptions,
  ) {
    const { channels, height, width, classes, name = "ImageDataset" } = options;
    if (pixels.length !== labels.length * channels * height * width) {
      throw new GraftError(
        "shape",
        `${name}: ${pixels.length} bytes are not ${labels.length} pictures of [${channels}, ${height}, ${width}]. Give one picture per label.`,
      );
    }
    checkLabels(name, labels, classes.length);
    this.classes = classes;
    this.length = labels.length;
  }

  get(index: number): readonly [Image, number] {
    checkIndex(this.options.name ?? "ImageDataset", index, this.length);
    const { channels, height, width } = this.options;
    return [{ data: this.values(index, index + 1), channels, height, width }, this.labels[index]];
  }

  /** All pictures [N, C, H, W] and all labels [N] as tensors, for evaluation in one piece. */
  tensors(): [images: Tensor, labels: Tensor] {
    const { channels, height, width } = this.options;
    return [fromData(this.values(0, this.length), [this.length, channels, height, width], "f32"), fromData(this.labels, [this.length], "i32")];
  }

  private values(from: number, to: number): Float32Array {
    const { channels, height, width, maximum } = this.options;
    const size = channels * height * width;
    const data = new Float32Array((to - from) * size);
    for (let i = 0; i < data.length; i++) data[i] = this.pixels[from * size + i] / maximum;
    return data;
  }
}

/**
 * A data set whose pictures (the first field of each sample) go through a transform when they are read, at random but reproducibly.
 * @example
 * const train = augment(digits.train, transforms.randomAffine({ degrees: 10, translate: [0.1, 0.1] }));
 */
export function augment<S extends readonly [Image, ...unknown[]]>(dataset: Dataset<S>, transform: Transform): Dataset<S> {
  const change = ([image, ...rest]: S, random: Random): S => [transform(image, random), ...rest] as unknown as S;
  return map(dataset, change);
}
