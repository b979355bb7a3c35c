import { bytesPerElement } from "./dtype.js";
import type { Spec } from "./node.js";
import { sizeOf } from "./shape.js";

/** Bytes that a value takes when it is stored. */
export const specBytes = (spec: Spec): number => sizeOf(spec.shape) * bytesPerElement(spec.dtype);

/** The specs of all outputs of something computed; most ops have one. */
export const outputSpecs = (computed: Spec & { readonly outputs: readonly Spec[] | undefined }): readonly Spec[] => computed.outputs ?? [computed];
