export { affine, randomAffine, randomRotation, rotate, type AffineOptions, type RandomAffineOptions } from "./affine.js";
export { centerCrop, crop, flipHorizontal, flipVertical, randomCrop, randomHorizontalFlip, randomShift, randomVerticalFlip, shift } from "./geometry.js";
export { compose, transformBatch, type Size, type Transform } from "./image.js";
export { cutmix, mixup, type MixOptions } from "./mix.js";
export { resize } from "./resize.js";
export { adjustBrightness, adjustContrast, colorJitter, cutout, gaussianNoise, normalize } from "./values.js";
