import { checkNumber, GraftError } from "../base/index.js";
import { allocate, encode, fromData, sizeOf, type DType, type Shape, type Tensor } from "../graph/index.js";
import { uniformValue } from "./init.js";
import { Parameter } from "./parameter.js";

/** A parameter drawn uniformly from [-bound, bound). */
export const uniformParameter = (shape: Shape, bound: number): Parameter => new Parameter(uniformValue(shape, -bound, bound));

/** A parameter whose values are all the same. */
export const constantParameter = (shape: Shape, value: number): Parameter => new Parameter(constantBuffer(shape, value));

/** A leaf whose values are all the same. */
export function constantBuffer(shape: Shape, value: number, dtype: DType = "f32"): Tensor {
  const data = allocate(dtype, sizeOf(shape)); // of zeros, which the system clears when they are touched
  return fromData(value === 0 ? data : data.fill(encode(dtype, value)), shape, dtype);
}

/** Checks a size: a whole number of 1 or more (0 with `least`). */
export const checkSize = (layer: string, name: string, value: number, least = 1): number => checkNumber(layer, name, value, { min: least, whole: true });

/** Checks into how many groups the channels of a convolution are cut. */
export function checkGroups(layer: string, inChannels: number, outChannels: number, groups: number): number {
  checkSize(layer, "inChannels", inChannels);
  checkSize(layer, "outChannels", outChannels);
  checkSize(layer, "groups", groups);
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new GraftError("argument", `${layer}: ${inChannels} input and ${outChannels} output channels cannot be cut into ${groups} groups. Both must be multiples.`);
  }
  return groups;
}

/** A size given once for all dims, or per dim. */
export function perDim(layer: string, name: string, value: number | readonly number[], dims: number, least: number): number[] {
  const sizes = typeof value === "number" ? new Array<number>(dims).fill(value) : [...value];
  checkSize(layer, `the number of values of ${name}`, sizes.length, dims);
  if (sizes.length !== dims) checkNumber(layer, `the number of values of ${name}`, sizes.length, { min: dims, max: dims, whole: true });
  return sizes.map((size) => checkSize(layer, name, size, least));
}
