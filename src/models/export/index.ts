export { exportGguf, type ExportGgufOptions } from "./gguf.js";
export { exportOnnx, type ExportOnnxOptions, type OnnxExport } from "./onnx/index.js";
