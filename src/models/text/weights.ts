import { didYouMean, GraftError } from "../../base/index.js";
import { showShape, type Tensor } from "../../graph/index.js";
import type { HostTensor } from "../../io/index.js";
import type { Module } from "../../nn/index.js";
import type { Family } from "./family.js";

/** What of a file may differ from the model. */
export interface Allowance {
  /** The head of the model may be absent in the file: it keeps its fresh weights. */
  readonly freshHead: boolean;
  /** The head in the file may be another one, which is left out. */
  readonly otherHead: boolean;
}

const shown = 12;

/**
 * Gives a model the weights of a file: under the names that the file uses (old spellings, a trunk without its prefix), tied weights under either name. Weights of
 * the trunk must be complete. Throws `state` with all problems at once; the model is then unchanged.
 */
export function loadWeights(model: Module, weights: ReadonlyMap<string, HostTensor>, { trunk, renames = [], ignored = [] }: Family, { freshHead, otherHead }: Allowance): void {
  const wanted = model.stateDict();
  const inTrunk = (name: string): boolean => name.startsWith(`${trunk}.`);
  const nameOf = (name: string): string => {
    const spelled = renames.reduce((text, [from, to]) => text.replace(from, to), name);
    return !wanted.has(spelled) && !inTrunk(spelled) && wanted.has(`${trunk}.${spelled}`) ? `${trunk}.${spelled}` : spelled;
  };
  const given = new Map<string, HostTensor>();
  const unexpected: string[] = [];
  const bare = ![...weights.keys()].some(inTrunk);
  for (const [name, value] of weights) {
    const known = nameOf(name);
    if (wanted.has(known)) given.set(known, value);
    else if (!ignored.some((pattern) => pattern.test(name)) && !(otherHead && isHead(known, trunk) && !bare)) unexpected.push(name);
  }

  const loaded = new Set<Tensor>([...wanted].filter(([name]) => given.has(name)).map(([, tensor]) => tensor)); // tied weights have two names
  const missing = [...wanted].filter(([name, tensor]) => !loaded.has(tensor) && !(freshHead && isHead(name, trunk)));
  const problems = [
    ...missing.map(([name, { shape }]) => `missing: ${name} ${showShape(shape)}`),
    ...unexpected.map((name) => `unexpected: ${name} ${showShape(weights.get(name)!.shape)}.${didYouMean(name, missing.map(([wantedName]) => wantedName))}`),
  ];
  for (const [name, { shape }] of given) {
    const target = wanted.get(name)!;
    if (shape.join() === target.shape.join()) continue;
    if (freshHead && isHead(name, trunk)) given.delete(name);
    else problems.push(`shape of ${name}: the model has ${showShape(target.shape)}, the file ${showShape(shape)}`);
  }
  if (problems.length > 0) {
    const more = problems.length > shown ? `\n  and ${problems.length - shown} more` : "";
    const hint = missing.every(([name]) => isHead(name, trunk)) && missing.length > 0 ? " Only the head is missing: pass { task } to start with a fresh one." : "";
    throw new GraftError("state", `the weights do not fit ${model.constructor.name}: ${problems.length} problem(s):\n  ${problems.slice(0, shown).join("\n  ")}${more}\nUse config and weights of one checkpoint.${hint}`);
  }
  model.loadStateDict(given, { assign: true, strict: false });
}

/** Whether a weight belongs to the head: outside of the trunk, or its pooler, which checkpoints of language models lack. */
const isHead = (name: string, trunk: string): boolean => !name.startsWith(`${trunk}.`) || name.startsWith(`${trunk}.pooler.`);

/** The state of a model with each shared weight under its first name only, as Hugging Face saves it. */
export function untiedState(model: Module): Map<string, Tensor> {
  const seen = new Set<Tensor>();
  return new Map([...model.stateDict()].filter(([, tensor]) => !seen.has(tensor) && seen.add(tensor)));
}
