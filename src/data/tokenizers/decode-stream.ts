import type { DecodeOptions, Tokenizer } from "./tokenizer.js";

const unfinished = "\ufffd"; // what an incomplete character decodes to
const longest = 8; // tokens; a character has at most four bytes, so by then it was no character

/**
 * Text from ids that come one by one: each `push` gives the text that is certain by now, so that characters made of several tokens appear whole and spaces
 * between words where they belong.
 *
 * @example
 * const stream = new data.tokenizers.DecodeStream(tokenizer);
 * for await (const id of ids) process.stdout.write(stream.push(id));
 * process.stdout.write(stream.end());
 */
export class DecodeStream {
  // Decoders treat the start of a text differently from its middle, so a few ids that were already shown are decoded again with the new ones.
  private ids: number[] = [];
  private shown = 0; // of them, ids whose text was given out

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly options: DecodeOptions = {},
  ) {}

  /** The text that an id makes certain; empty while a character is incomplete. */
  push(id: number): string {
    this.ids.push(id);
    const text = this.rest();
    if (text === "" || (text.endsWith(unfinished) && this.ids.length - this.shown < longest)) return "";
    this.ids = this.ids.slice(this.shown);
    this.shown = this.ids.length;
    return text;
  }

  /** What is left at the end; the stream can then be used anew. */
  end(): string {
    const text = this.rest();
    this.ids = [];
    this.shown = 0;
    return text;
  }

  private rest(): string {
    const before = this.tokenizer.decode(this.ids.slice(0, this.shown), this.options);
    return this.tokenizer.decode(this.ids, this.options).slice(before.length);
  }
}
