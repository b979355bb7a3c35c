export { documents, texts, type DocumentPiece, type TextOptions } from "./documents.js";
export { encodeExample, encodePreference, type EncodeExampleOptions, type TokenSample } from "./encode-example.js";
export { examples, formatOf, toExample, type Example, type ExampleOptions, type Format } from "./examples.js";
export { listFiles, type FileOptions } from "./files.js";
export { loadExamples, type ExampleSplits, type LoadExamplesOptions } from "./instruction-folder.js";
export {
  classesOf, encodeLabelled, labelledRows, loadLabelled, padTexts,
  type ClassSample, type EncodedTexts, type EncodeLabelledOptions, type LabelledOptions, type LabelledSplits, type LabelledText, type PaddedTexts,
} from "./labelled.js";
export { lengthSampler } from "./length-sampler.js";
export { type PadOptions } from "./pad.js";
export { masker, type MaskedBatch, type MaskOptions } from "./masking.js";
export { PackedDataset, padSamples, type PackedBlock, type PackOptions, type PaddedBatch } from "./pack.js";
export { choiceQuestions, openQuestions, type ChoiceQuestion, type OpenQuestion } from "./questions.js";
export { type ByteRange } from "./read-lines.js";
export { hasRows, rows, type Row } from "./rows.js";
export { ShuffledStream, type ShuffleOptions, type StreamState } from "./shuffled-stream.js";
export { TokenDataset, type TokenDatasetOptions, type TokenSource } from "./token-dataset.js";
export { TokenFile, writeTokenFile, type TokenHeader, type TokenSink } from "./token-file.js";
export { fingerprint, prepareTokens, writeTokens, type PrepareOptions, type WriteTokensOptions } from "./write-tokens.js";
