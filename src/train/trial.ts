import { fromData, type Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { assign, getRandomState, setRandomState } from "../ops/index.js";
import { discardPending, realize } from "../runtime/index.js";
import { classify, type ClassifyOptions, type ClassSamples } from "./classify.js";
import { fit } from "./fit.js";
import { pretrain, sft, type PretrainOptions, type SftOptions, type TokenBlocks, type TokenSamples } from "./lm.js";
import { mlm, type MlmOptions, type TokenRows } from "./mlm.js";
import { isLoader } from "./sources.js";
import type { DataSource, FitOptions, FitResult } from "./types.js";

/** Options of the training that is tried. */
export type TrialOptions =
  | ({ readonly task?: "fit" } & Omit<FitOptions, "train">)
  | ({ readonly task: "pretrain" } & PretrainOptions)
  | ({ readonly task: "sft" } & SftOptions)
  | ({ readonly task: "classify" } & ClassifyOptions)
  | ({ readonly task: "mlm" } & MlmOptions);

/** Data of the training that is tried. */
export type TrialData = DataSource | TokenBlocks | TokenSamples | ClassSamples | TokenRows;

/** The trainings by their names. */
export const tasks: Readonly<Record<string, (model: Module, data: TrialData, options: object) => Promise<FitResult>>> = {
  fit: (model, data, options) => fit(model, { ...options, train: data as DataSource }),
  pretrain: (model, data, options) => pretrain(model, data as TokenBlocks, options),
  sft: (model, data, options) => sft(model, data as TokenSamples, options),
  classify: (model, data, options) => classify(model, data as ClassSamples, options),
  mlm: (model, data, options) => mlm(model, data as TokenRows, options as MlmOptions),
};

/** What does not belong to some steps that leave nothing. */
export const withoutTraces = {
  valid: undefined, stop: undefined, epochs: undefined, checkpoint: undefined, resume: undefined, restoreBest: undefined, fastDevRun: undefined,
  log: undefined, logEvery: undefined, tensorboard: undefined, keys: undefined, progress: false, evalEvery: undefined,
} as const;

/** Copies all that a training changes; the function that is returned puts it back. */
export async function remember(model: Module, data: unknown, { optimizer, scheduler }: Partial<FitOptions>): Promise<() => Promise<void>> {
  const changing: Tensor[] = [...model.parameters().filter((parameter) => parameter.requiresGrad), ...model.buffers()];
  const copies: Tensor[] = [];
  for (const tensor of changing) copies.push(fromData((await tensor.data()).slice(), tensor.shape, tensor.dtype));
  const random = getRandomState();
  const given = typeof optimizer === "object" ? optimizer : undefined;
  const { tensors = [], values = undefined } = given?.stateDict() ?? {};
  const state = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) state.set(name, fromData((await tensor.data()).slice(), tensor.shape, tensor.dtype));
  const schedule = typeof scheduler === "object" ? ("scheduler" in scheduler ? scheduler.scheduler : scheduler) : undefined;
  const scheduled = schedule?.stateDict();
  const loader = isLoader(data as DataSource) ? (data as Extract<DataSource, { stateDict: unknown }>) : undefined;
  const position = loader?.stateDict();
  return async () => {
    discardPending(); // what a step that failed has recorded
    changing.forEach((tensor, i) => assign(tensor, copies[i]));
    await realize();
    setRandomState(random);
    if (given !== undefined) given.loadStateDict({ tensors: state, values: values! });
    if (scheduled !== undefined) schedule!.loadStateDict(scheduled);
    if (position !== undefined) loader!.loadStateDict(position);
  };
}
