export { exportGguf, type ExportGgufOptions } from "./gguf.js";
