import { codePointAt, kindOf, kinds } from "./unicode.js";

/** Takes the words of `text` from `from` to `to` one by one. */
export type Splitter = (text: string, from: number, to: number, word: (from: number, to: number) => void) => void;

/** What \s and its complement mean to the tokenizers, as a class for JavaScript's expressions. */
export const whiteSpace = "\\p{White_Space}";

/** GPT-2's words as a regular expression: contractions, letters, numbers and the rest, each with one space before it, then white space. */
export const gpt2Pattern = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${whiteSpace}\\p{L}\\p{N}]+|${whiteSpace}+(?=${whiteSpace}|$)|${whiteSpace}+`,
  "gu",
);

/** The words of {@link gpt2Pattern}, by a loop that takes a fraction of the expression's time (Radford et al. 2019). */
export const splitGpt2: Splitter = (text, from, to, word) => {
  let i = from;
  while (i < to) {
    const start = i;
    let code = text.charCodeAt(i);
    if (code === 39 /* ' */) {
      const length = contraction(text, i, to);
      if (length > 0) {
        word(start, (i += length));
        continue;
      }
    }
    if (kindOf(code) & kinds.space) {
      const next = i + 1 < to ? text.charCodeAt(i + 1) : -1;
      if (code !== 32 || next === -1 || kindOf(next) & kinds.space) {
        i++;
        while (i < to && kindOf(text.charCodeAt(i)) & kinds.space) i++;
        if (i < to && i - start > 1) i--; // the last white space belongs to what follows it
        word(start, i);
        continue;
      }
      i++;
    }
    code = codePointAt(text, i, to);
    const kind = kindOf(code) & sorts;
    do i += code > 0xffff ? 2 : 1;
    while (i < to && (kindOf((code = codePointAt(text, i, to))) & sorts) === kind);
    word(start, i);
  }
};

/** Letters, numbers and white space; what is none of them is the fourth sort. */
const sorts = kinds.letter | kinds.number | kinds.space;

function contraction(text: string, at: number, to: number): number {
  if (at + 1 >= to) return 0;
  const next = text[at + 1];
  if (next === "s" || next === "t" || next === "m" || next === "d") return 2;
  if (at + 2 >= to) return 0;
  const two = next + text[at + 2];
  return two === "re" || two === "ve" || two === "ll" ? 3 : 0;
}

/** Runs of word characters, and runs of what is neither that nor white space: `\w+|[^\w\s]+`. */
export const splitWords: Splitter = (text, from, to, word) => runs(text, from, to, word, kinds.word | kinds.space, false);

/** What stands between white space. */
export const splitWhitespace: Splitter = (text, from, to, word) => runs(text, from, to, word, kinds.space, false);

/** What stands between white space, with each punctuation character a word of its own (Devlin et al. 2019). */
export const splitBert: Splitter = (text, from, to, word) => runs(text, from, to, word, kinds.space | kinds.punctuation, true);

/** Runs of characters that agree in the bits of `mask`, without white space; with `alone` punctuation is not joined to runs. */
function runs(text: string, from: number, to: number, word: (from: number, to: number) => void, mask: number, alone: boolean): void {
  let i = from;
  while (i < to) {
    const start = i;
    let code = codePointAt(text, i, to);
    const kind = kindOf(code) & mask;
    do i += code > 0xffff ? 2 : 1;
    while (i < to && (kindOf((code = codePointAt(text, i, to))) & mask) === kind && !(alone && kind & kinds.punctuation));
    if (!(kind & kinds.space)) word(start, i);
  }
}

/** The mark that stands for a space in tokens of SentencePiece's kind. */
export const metaspace = "\u2581";

/** Words that begin at each mark, for text whose spaces were replaced by it. */
export const splitMetaspace: Splitter = (text, from, to, word) => {
  let start = from;
  while (start < to) {
    const next = text.indexOf(metaspace, start + 1);
    const end = next === -1 || next > to ? to : next;
    word(start, end);
    start = end;
  }
};

/** All of it as one word. */
export const splitNothing: Splitter = (_text, from, to, word) => {
  if (to > from) word(from, to);
};
