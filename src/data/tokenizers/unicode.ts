/** What kinds of character a code point belongs to, as bits. */
export const kinds = { letter: 1, number: 2, space: 4, word: 8, punctuation: 16 } as const;

const known = 128;
const table = new Uint8Array(0x110000); // filled as characters turn up

// The regular expressions of tokenizers mean Unicode's White_Space by \s (JavaScript's also has U+FEFF and lacks U+0085), and its word characters by \w.
const tests: readonly (readonly [number, RegExp])[] = [
  [kinds.letter, /^\p{L}$/u],
  [kinds.number, /^\p{N}$/u],
  [kinds.space, /^\p{White_Space}$/u],
  [kinds.word, /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]$/u],
  [kinds.punctuation, /^[\p{P}!-/:-@[-`{-~]$/u], // BERT counts all of ASCII's symbols as punctuation
];

/** The {@link kinds} of a code point. */
export function kindOf(codePoint: number): number {
  return table[codePoint] || classify(codePoint);
}

function classify(codePoint: number): number {
  const text = String.fromCodePoint(codePoint);
  let bits = known;
  for (const [bit, test] of tests) if (test.test(text)) bits |= bit;
  return (table[codePoint] = bits);
}

for (let i = 0; i < 128; i++) classify(i);

/** The code point at a place: of both halves of a surrogate pair together, where there is one. */
export function codePointAt(text: string, at: number, end: number): number {
  const high = text.charCodeAt(at);
  if (high < 0xd800 || high > 0xdbff || at + 1 >= end) return high;
  const low = text.charCodeAt(at + 1);
  return low >= 0xdc00 && low <= 0xdfff ? (high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000 : high;
}
