import { didYouMean, GraftError } from "../base/index.js";
import type { CommonSettings, Setting, Settings } from "./define.js";
import type { Override } from "./overrides.js";

const common: CommonSettings = { epochs: 10, batchSize: 64, lr: 0.001, seed: 0 };
const limits: Readonly<Record<string, { readonly least: number; readonly whole: boolean }>> = {
  epochs: { least: 0, whole: true },
  batchSize: { least: 1, whole: true },
  lr: { least: 0, whole: false },
  seed: { least: 0, whole: true },
};

/** The settings of a training with those that flags replace. Throws `config` for unknown names and values of another kind. */
export function resolveSettings(own: Settings | undefined, overrides: readonly Override[]): Settings & CommonSettings {
  const settings: Record<string, Setting> = { ...common, ...own };
  for (const { key, value, flag } of overrides) {
    if (!Object.hasOwn(settings, key)) throw new GraftError("config", `${flag}: there is no setting "${key}".${didYouMean(key, Object.keys(settings))} Settings: ${Object.keys(settings).join(", ")}.`);
    settings[key] = like(settings[key], value, flag);
  }
  for (const [name, { least, whole }] of Object.entries(limits)) {
    const value = settings[name];
    const good = typeof value === "number" && value >= least && value <= Number.MAX_SAFE_INTEGER && (!whole || Number.isInteger(value));
    if (!good) throw new GraftError("config", `settings: ${name} is ${JSON.stringify(value)}. Use a ${whole ? "whole " : ""}number of ${least} or more.`);
  }
  return settings as Settings & CommonSettings;
}

/** A text as a value of the same kind as the one it replaces. */
function like(old: Setting, text: string, flag: string): Setting {
  if (typeof old === "string") return text;
  if (typeof old === "boolean") {
    if (text === "true" || text === "false") return text === "true";
    throw new GraftError("config", `${flag}: "${text}" is neither true nor false.`);
  }
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new GraftError("config", `${flag}: "${text}" is not a number.`);
  return value;
}
