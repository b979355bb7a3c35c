import type { Command } from "commander";
import { load, type SavedConfig } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { dataSchema, type DataSource } from "./data-schema.js";
import { check } from "./schema.js";

/** A saved model with what its config tells about its data. */
export interface SavedModel {
  readonly model: Module;
  readonly config: SavedConfig;
  /** What it was trained on. */
  readonly source: DataSource | undefined;
  /** Seed of its training, which its data were split with. */
  readonly seed: number;
}

/** Adds the option that lets a model's own code run. */
export const allowCodeOption = (command: Command): Command => command.option("--allow-code", "run the model's own code where its config names a file");

/** Loads a saved model. Throws what `models.load` throws, and `config` for a config whose data source makes no sense. */
export async function openModel(path: string, { allowCode = false }: { readonly allowCode?: boolean } = {}): Promise<SavedModel> {
  const model = await load(path, { allowCode });
  const { config } = model;
  const training = config.training as { readonly data?: unknown; readonly seed?: unknown } | undefined;
  const source = training?.data === undefined ? undefined : check(`${path}: training.data in config.json`, dataSchema, training.data);
  return { model, config, source, seed: typeof training?.seed === "number" ? training.seed : 0 };
}
