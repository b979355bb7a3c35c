export { ArrayDataset, Subset, concat, filter, map, type Dataset } from "./dataset.js";
export { DataLoader, toTensors, type BatchContext, type BatchOf, type BatchTransform, type LoaderOptions, type LoaderState } from "./loader.js";
export { ModuleDataset, fromModule, type ModuleSpec } from "./module-dataset.js";
export { Random, type RandomStream } from "./random.js";
export { stack, type Field, type FieldTypes, type HostArray, type HostBatch, type Image, type Sample } from "./sample.js";
export { randomSampler, sequentialSampler, weightedSampler, type Sampler } from "./sampler.js";
export { randomSplit, stratifiedSplit, takePerClass, type SplitOptions } from "./split.js";
export { TensorDataset, type TensorSource } from "./tensor-dataset.js";
