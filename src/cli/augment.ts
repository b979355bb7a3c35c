import { transforms, type BatchTransform, type Transform } from "../data/index.js";
import type { FitOptions } from "../train/index.js";
import type { Recipe } from "./recipe.js";

type Item = Recipe["augment"][number];
type Value<K extends keyof Item> = NonNullable<Item[K]>;

/** What each name in the list `augment` of a recipe does to a picture. */
const samples: { readonly [K in Exclude<keyof Item, "mixup" | "cutmix">]-?: (value: Value<K>) => Transform } = {
  affine: (options) => transforms.randomAffine(options),
  shift: (pixels) => transforms.randomShift(pixels),
  rotate: (degrees) => transforms.randomRotation(degrees),
  flip: (p) => transforms.randomHorizontalFlip(p),
  flipVertical: (p) => transforms.randomVerticalFlip(p),
  crop: ({ size, padding }) => transforms.randomCrop(size, { padding }),
  noise: (std) => transforms.gaussianNoise({ std }),
  cutout: (options) => transforms.cutout(options),
  jitter: (options) => transforms.colorJitter(options),
};

/** The list `augment` of a recipe as what `train.fit` takes. */
export function augmentation(list: readonly Item[], classes: number | undefined): FitOptions["augment"] {
  const sample: Transform[] = [];
  const batch: BatchTransform[] = [];
  for (const item of list) {
    for (const [name, value] of Object.entries(item)) {
      if (value === undefined) continue;
      if (name === "mixup" || name === "cutmix") batch.push(transforms[name]({ classes, ...(value as Value<"mixup">) }));
      else sample.push((samples[name as keyof typeof samples] as (value: unknown) => Transform)(value));
    }
  }
  if (sample.length === 0 && batch.length === 0) return undefined;
  return {
    sample: sample.length === 0 ? undefined : transforms.compose(...sample),
    batch: batch.length === 0 ? undefined : (values, random) => batch.reduce((current, change) => change(current, random), values),
  };
}
