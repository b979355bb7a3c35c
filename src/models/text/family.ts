import type { JsonObject } from "../../io/index.js";
import type { TextModel } from "./types.js";

/** The models of one architecture, and what is to be known about their weight files. */
export interface Family {
  /** Classes by the names that Hugging Face has in `architectures`; the first is made where a config names none. */
  readonly models: Readonly<Record<string, new (config: JsonObject) => TextModel>>;
  /** Name of the trunk in the models: files of a bare trunk lack it as a prefix. */
  readonly trunk: string;
  /** Names in files of other versions, and what they are called here. */
  readonly renames?: readonly (readonly [from: RegExp, to: string])[];
  /** Entries of files that are no weights (precomputed masks, heads for pretraining). */
  readonly ignored?: readonly RegExp[];
}
