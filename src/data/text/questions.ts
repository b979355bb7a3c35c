import { GraftError } from "../../base/index.js";
import type { Message } from "../tokenizers/index.js";
import { toExample } from "./examples.js";
import { placeOf, rows, type Row } from "./rows.js";

/** A question with several choices, of which one is right. */
export interface ChoiceQuestion {
  readonly prompt: string;
  readonly choices: readonly string[];
  /** The number of the right choice, from 0. */
  readonly answer: number;
  readonly place: string;
}

/** A question with its answers, any of which is right. */
export interface OpenQuestion {
  /** A text to go on from, or the turns of a conversation. */
  readonly prompt: string | readonly Message[];
  readonly answers: readonly string[];
  readonly place: string;
}

const names = {
  prompt: ["query", "question", "prompt", "context", "ctx"],
  choices: ["choices", "options", "endings"],
  answer: ["answer", "gold", "answerKey", "label", "target"],
} as const;

const find = ({ fields }: Row, keys: readonly string[]): string | undefined => keys.find((key) => Object.hasOwn(fields, key) && fields[key] !== null && fields[key] !== undefined);

function need(row: Row, what: string, keys: readonly string[]): unknown {
  const key = find(row, keys);
  if (key === undefined) throw new GraftError("format", `${placeOf(row)}: has no ${what}: none of ${keys.join(", ")}. Fields: ${Object.keys(row.fields).slice(0, 20).join(", ")}.`);
  return row.fields[key];
}

function promptOf(row: Row): string {
  const prompt = need(row, "question", names.prompt);
  if (typeof prompt !== "string") throw new GraftError("format", `${placeOf(row)}: the question is not text. Give a string.`);
  return prompt;
}

/**
 * Multiple-choice questions of `.jsonl`, `.json` or `.parquet` files: `query` (or `question`, `prompt`), `choices` (a list, or `{ text, label }` with two lists), and `gold` (or `answer`): the
 * number of the right choice from 0, its label or letter, or its text. Throws `format`, with file and line, for what is missing or wrong.
 * @example
 * // {"query": "The sky is", "choices": ["blue", "loud"], "gold": 0}
 * for await (const question of data.text.choiceQuestions("questions.jsonl")) console.log(question.choices[question.answer]);
 */
export async function* choiceQuestions(files: string | readonly string[]): AsyncGenerator<ChoiceQuestion> {
  for await (const row of rows(files)) yield toChoiceQuestion(row);
}

function toChoiceQuestion(row: Row): ChoiceQuestion {
  const place = placeOf(row);
  const bad = (problem: string, fix: string): GraftError => new GraftError("format", `${place}: ${problem}. ${fix}.`);
  const prompt = promptOf(row);
  const given = need(row, "choices", names.choices);
  const list: unknown = isObject(given) ? (given.text ?? given.choices) : given;
  if (!Array.isArray(list) || list.length < 2 || !list.every((choice) => typeof choice === "string" && choice !== "")) throw bad(`"choices" is not a list of two or more texts`, `Write ["first", "second"]`);
  const choices = list as readonly string[];
  const labels = isObject(given) && Array.isArray(given.label) ? given.label.map(String) : undefined;
  const answer = need(row, "answer", names.answer);
  const number = answerNumber(answer, choices, labels);
  if (number === undefined) throw bad(`the answer ${JSON.stringify(answer)} is none of the ${choices.length} choices`, `Use a number from 0 to ${choices.length - 1}, a letter, or the text of the choice`);
  return { prompt, choices, answer: number, place };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Which choice is meant: by its label, its text, its number from 0, or its letter. */
function answerNumber(answer: unknown, choices: readonly string[], labels: readonly string[] | undefined): number | undefined {
  const text = String(answer).trim();
  const inRange = (number: number): number | undefined => (number >= 0 && number < choices.length ? number : undefined);
  const labelled = labels?.indexOf(text) ?? -1;
  if (labelled >= 0) return inRange(labelled);
  if (typeof answer === "number" || typeof answer === "bigint") return Number.isInteger(Number(answer)) ? inRange(Number(answer)) : undefined;
  if (choices.includes(text)) return choices.indexOf(text);
  if (/^\d+$/.test(text)) return inRange(Number(text));
  return /^[A-Z]$/.test(text) ? inRange(text.charCodeAt(0) - 65) : undefined;
}

/**
 * Questions with open answers: `question` (or `prompt`) with `answers` (a list), or any form of fine-tuning data, whose completion or last turn is the answer. Throws `format`, with file and line.
 * @example
 * // {"question": "2 + 2 =", "answers": ["4", "four"]}
 * for await (const { prompt, answers } of data.text.openQuestions("questions.jsonl")) console.log(prompt, answers);
 */
export async function* openQuestions(files: string | readonly string[]): AsyncGenerator<OpenQuestion> {
  for await (const row of rows(files)) yield toOpenQuestion(row);
}

function toOpenQuestion(row: Row): OpenQuestion {
  const place = placeOf(row);
  const { answers } = row.fields;
  if (answers !== undefined) {
    const list: unknown = isObject(answers) ? answers.text : answers; // SQuAD has { text: [...], answer_start: [...] }
    const prompt = promptOf(row);
    if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === "string")) throw new GraftError("format", `${place}: "answers" is not a list of texts. Write ["one", "another"].`);
    return { prompt, answers: list as string[], place };
  }
  const example = toExample(row);
  if (example.kind === "completion") return { prompt: example.prompt, answers: [example.completion], place };
  const last = example.kind === "chat" ? example.messages.at(-1) : undefined;
  if (example.kind === "chat" && last?.role === "assistant" && typeof last.content === "string" && example.messages.length > 1) return { prompt: example.messages.slice(0, -1), answers: [last.content], place };
  throw new GraftError("format", `${place}: has no question with an answer. Use prompt and completion, question and answers, or messages that end with the assistant's.`);
}
