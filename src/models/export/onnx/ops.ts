import type { Node } from "../../../graph/index.js";
import type { SymbolicAttr, SymbolicSpec } from "./align.js";
import type { GraphBuilder, Value } from "./builder.js";
import { cannotWrite } from "./problem.js";
import type { Inverse, Size } from "./size.js";

/** What the translator of an op is given. */
export interface Translation {
  readonly builder: GraphBuilder;
  /** The op, for errors. */
  readonly node: Node;
  readonly path: string;
  readonly inputs: readonly Value[];
  readonly attrs: Readonly<Record<string, SymbolicAttr>>;
  readonly outputs: readonly SymbolicSpec[];
  /** For each input, whether only this node reads it. */
  readonly sole: readonly boolean[];
}

/** Writes one op of Graft as operations of ONNX; returns its outputs, undefined for one that cannot be had. */
export type Translate = (translation: Translation) => Value | readonly (Value | undefined)[];

/** Translators by the names of ops. */
export type Translators = Readonly<Record<string, Translate>>;

/** An attribute that is a number, fixed or not. */
export const sizeAttr = ({ attrs }: Translation, name: string): Size => attrs[name] as Size;
/** An attribute that is a list of sizes. */
export const sizesAttr = ({ attrs }: Translation, name: string): readonly Size[] => attrs[name] as readonly Size[];
/** An attribute that may be one over a size. */
export const factorAttr = ({ attrs }: Translation, name: string): Size | Inverse => attrs[name] as Size | Inverse;

/** A number that ONNX wants in the file and not computed. Throws `config` where it depends on batch or length. */
export function fixedSize({ node, path }: Translation, name: string, size: Size): number {
  if (typeof size === "number") return size;
  throw cannotWrite(node.op.name, path, `"${name}" depends on the size of the batch or the sequence, and ONNX wants it fixed. Export for one size: { batch, length }`);
}
/** An attribute that is a fixed number. */
export const fixedAttr = (t: Translation, name: string): number => fixedSize(t, name, sizeAttr(t, name));
/** An attribute that is a list of fixed numbers. */
export const fixedAttrs = (t: Translation, name: string): number[] => sizesAttr(t, name).map((size) => fixedSize(t, name, size));
