export { configOf, graftVersion, type OwnConfig, type Preprocess, type SavedConfig } from "./config.js";
export { load, save, type LoadOptions, type SaveOptions } from "./files.js";
export { layerNames, Layers, type LayersOptions, type LayerSpec } from "./layers.js";
export { MLP, type MLPOptions } from "./mlp.js";
export { classNames } from "./read-config.js";
export { architectureNames, create, isRegistered, register, type Architecture } from "./registry.js";
export { SimpleCNN, type SimpleCNNOptions } from "./simple-cnn.js";
export { type CodeConsent } from "./user-module.js";
