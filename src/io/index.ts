export { cleanInterrupted, writeFileAtomic, writeFolderAtomic, type Write } from "./atomic.js";
export {
  latestCheckpoint,
  listCheckpoints,
  loadCheckpoint,
  pruneCheckpoints,
  saveCheckpoint,
  type Checkpoint,
  type CheckpointContent,
} from "./checkpoint.js";
export { checkKeys, readConfig, readJson, writeConfig, type ModelConfig } from "./config.js";
export { sameBits, toHost, type HostTensor, type TensorSource } from "./host.js";
export { type Json, type JsonObject } from "./json.js";
export {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  readSafetensorsTensor,
  writeSafetensors,
  type NamedTensors,
  type WriteOptions,
} from "./safetensors.js";
export { type SafetensorsEntry, type SafetensorsHeader, type StoredType } from "./safetensors-header.js";
export { readWeights, writeWeights, type ShardOptions } from "./shards.js";
export { type GgufType } from "./gguf-blocks.js";
export { type GgufArray, type GgufValue } from "./gguf-values.js";
export { decodeGguf, readGguf, writeGguf, type GgufContent, type GgufTensor, type ReadGgufTensor } from "./gguf.js";
export { onnxBytes, onnxTypeCodes, writeOnnx, type OnnxAttribute, type OnnxConstant, type OnnxModel, type OnnxNode, type OnnxType, type OnnxValueInfo, type WriteOnnxOptions } from "./onnx.js";
export { protoFields, ProtoWriter } from "./protobuf.js";
export { modelFolder } from "./hub/model-folder.js";
export { parseHubName, type HubName } from "./hub/name.js";
