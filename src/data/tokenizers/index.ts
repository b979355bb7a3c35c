export { chatTemplates, type ChatTemplateOptions, type Message } from "./chat.js";
export { type Texts } from "./count-words.js";
export { type Role, type TokenizerConfig, type TokenizerJson } from "./file-types.js";
export { Tokenizer, type DecodeOptions, type EncodeOptions } from "./tokenizer.js";
export { trainBpe, trainByteLevelBpe, type BpeOptions, type BpeWords, type ByteLevelBpeOptions, type MergeTrainOptions } from "./train-bpe.js";
export { trainCharacters, type CharacterOptions } from "./train-characters.js";
export { type TokenizerTrainOptions } from "./train-options.js";
export { trainUnigram, type UnigramOptions } from "./train-unigram.js";
export { trainWordPiece, type WordPieceOptions } from "./train-word-piece.js";
