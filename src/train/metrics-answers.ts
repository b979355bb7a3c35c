const punctuation = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;

/**
 * An answer as SQuAD compares it (Rajpurkar et al. 2016): lower case, without punctuation and the articles a, an, the, with single spaces.
 * @example
 * train.metrics.normalizeAnswer("The  Eiffel Tower!"); // "eiffel tower"
 */
export const normalizeAnswer = (text: string): string =>
  text.toLowerCase().replace(punctuation, "").replace(/\b(a|an|the)\b/g, " ").split(/\s+/).filter((word) => word !== "").join(" ");

const listOf = (answers: string | readonly string[]): readonly string[] => (typeof answers === "string" ? [answers] : answers);

/**
 * 1 where a prediction equals an answer (one of several) after {@link normalizeAnswer}, otherwise 0. With `normalize: false` only white space at the ends is left out.
 * @example
 * train.metrics.exactMatch("The cat.", ["a cat", "a kitten"]); // 1
 */
export function exactMatch(prediction: string, answers: string | readonly string[], { normalize = true }: { readonly normalize?: boolean } = {}): number {
  const form = (text: string): string => (normalize ? normalizeAnswer(text) : text.trim());
  return listOf(answers).some((answer) => form(answer) === form(prediction)) ? 1 : 0;
}

/**
 * F1 of the words that a prediction and an answer (the best one of several) have in common after {@link normalizeAnswer}: 2 P R / (P + R), P and R the shares of the prediction's and the
 * answer's words that are common. Where one of the two has no words it is 1 if both have none.
 * @example
 * train.metrics.tokenF1("the black cat", "a cat"); // 0.6667
 */
export function tokenF1(prediction: string, answers: string | readonly string[]): number {
  const words = (text: string): string[] => normalizeAnswer(text).split(" ").filter((word) => word !== "");
  const found = words(prediction);
  return listOf(answers).reduce((best, answer) => Math.max(best, overlap(found, words(answer))), 0);
}

function overlap(found: readonly string[], wanted: readonly string[]): number {
  if (found.length === 0 || wanted.length === 0) return found.length === wanted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of found) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  return (2 * common) / (found.length + wanted.length); // = 2 P R / (P + R)
}
