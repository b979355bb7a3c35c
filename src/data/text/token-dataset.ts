import { checkChoice, checkNumber, checkOptions, GraftError } from "../../base/index.js";
import { checkIndex, type Dataset } from "../dataset.js";
import { Random } from "../random.js";
import { TokenFile } from "./token-file.js";

/** Options of {@link TokenDataset}. */
export interface TokenDatasetOptions {
  /** Tokens per sample. */
  readonly blockSize: number;
  /** `random`: each sample begins anywhere, anew in each epoch; `sequential`: sample i holds block i. Default `random`. */
  readonly order?: "random" | "sequential";
  /** Samples per epoch. Default: as many as blocks fit into the file. */
  readonly samples?: number;
}

/** Where tokens come from: a file, or ids in memory. */
export type TokenSource = string | TokenFile | ArrayLike<number>;

/**
 * Blocks of tokens for pretraining, as (input, target): two Int32Arrays [blockSize], the target one token ahead.
 *
 * With a file nothing but the block is read. In random order a block's place depends on (seed, epoch, index) of the loader only, so that a resumed run goes
 * on with the same blocks. Throws `argument` when there are fewer than `blockSize + 1` tokens.
 *
 * @example
 * const blocks = new data.text.TokenDataset("tokens/train.bin", { blockSize: 64 });
 * const loader = new data.DataLoader(blocks, { batchSize: 12, shuffle: true, seed: 1 });
 */
export class TokenDataset implements Dataset<readonly [Int32Array, Int32Array]> {
  readonly length: number;
  readonly blockSize: number;
  /** Number of tokens. */
  readonly tokens: number;
  private readonly order: "random" | "sequential";
  private readonly file: TokenFile | undefined;
  private readonly ids: Int32Array | undefined;

  constructor(source: TokenSource, options: TokenDatasetOptions) {
    checkOptions("TokenDataset", options, ["blockSize", "order", "samples"]);
    const { blockSize, order = "random", samples } = options;
    this.blockSize = checkNumber("TokenDataset", "blockSize", blockSize, { min: 1, whole: true });
    this.order = checkChoice("TokenDataset", "order", order, ["random", "sequential"]);
    if (typeof source === "string") this.file = TokenFile.open(source);
    else if (source instanceof TokenFile) this.file = source;
    else this.ids = Int32Array.from(source);
    this.tokens = this.file?.length ?? this.ids!.length;
    const blocks = Math.floor((this.tokens - 1) / blockSize);
    if (blocks < 1) {
      const name = this.file?.path ?? "the list";
      this.close();
      throw new GraftError("argument", `TokenDataset: ${name} has ${this.tokens} tokens, a block needs ${blockSize + 1}. Use a smaller blockSize or more text.`);
    }
    this.length = checkNumber("TokenDataset", "samples", samples ?? blocks, { min: 1, max: this.order === "sequential" ? blocks : Infinity, whole: true });
  }

  get(index: number, random: Random = new Random(0, { purpose: "sample", index })): readonly [Int32Array, Int32Array] {
    checkIndex("TokenDataset", index, this.length);
    const { blockSize } = this;
    const start = this.order === "sequential" ? index * blockSize : random.integer(this.tokens - blockSize);
    const block = this.file?.read(start, blockSize + 1) ?? this.ids!.subarray(start, start + blockSize + 1);
    return [block.subarray(0, blockSize), block.subarray(1)];
  }

  /** Closes the file. */
  close(): void {
    this.file?.close();
  }
}
