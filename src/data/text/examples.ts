import { checkChoice, didYouMean, GraftError } from "../../base/index.js";
import type { Message } from "../tokenizers/index.js";
import { placeOf, rows, type Row } from "./rows.js";

/** Forms in which instruction data come. */
export const formats = ["messages", "sharegpt", "alpaca", "completion", "preference", "text"] as const;
/** A form of instruction data, see {@link formatOf}. */
export type Format = (typeof formats)[number];

/** One example to fine-tune on, in one of four shapes. `place` tells where it came from. */
export type Example = { readonly place: string } & (
  | { readonly kind: "chat"; readonly messages: readonly Message[]; readonly tools?: readonly unknown[] }
  | { readonly kind: "completion"; readonly prompt: string; readonly completion: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "preference"; readonly prompt: readonly Message[] | string; readonly chosen: readonly Message[] | string; readonly rejected: readonly Message[] | string }
);

/** The keys that tell a form: all of a list must be there. The first that fits is taken. */
const signs: readonly (readonly [Format, readonly string[]])[] = [
  ["preference", ["chosen", "rejected"]],
  ["messages", ["messages"]],
  ["sharegpt", ["conversations"]],
  ["sharegpt", ["conversation"]],
  ["alpaca", ["instruction", "output"]],
  ["alpaca", ["instruction", "response"]],
  ["completion", ["prompt", "completion"]],
  ["completion", ["prompt", "response"]],
  ["completion", ["question", "answer"]],
  ["text", ["text"]],
];

/** The form of a row, by its keys. Throws `format`, with file and line, where none fits. */
export function formatOf(row: Row): Format {
  const found = signs.find(([, keys]) => keys.every((key) => Object.hasOwn(row.fields, key)));
  if (found !== undefined) return found[0];
  const names = Object.keys(row.fields);
  const known = [...new Set(signs.flatMap(([, keys]) => keys))];
  const hint = names.map((name) => didYouMean(name, known)).find((text) => text !== "") ?? "";
  const forms = '{"messages": [{"role", "content"}]}, {"conversations": [{"from", "value"}]}, {"instruction", "output"}, {"prompt", "completion"}, {"chosen", "rejected"} or {"text"}';
  throw new GraftError("format", `${placeOf(row)}: the keys ${names.join(", ") || "(none)"} are of no known form.${hint} Write ${forms}.`);
}

/**
 * A row as an example. Throws `format`, with file and line, for what its form does not allow.
 * @example
 * toExample({ file: "a.jsonl", line: 1, fields: { prompt: "2 + 2 =", completion: " 4" } });
 */
export function toExample(row: Row, format: Format = formatOf(row)): Example {
  checkChoice("toExample", "format", format, formats);
  const place = placeOf(row);
  const bad = (problem: string, fix: string): GraftError => new GraftError("format", `${place}: ${problem}. ${fix}.`);
  const field = (...names: string[]): unknown => names.map((name) => (Object.hasOwn(row.fields, name) ? row.fields[name] : undefined)).find((value) => value !== undefined && value !== null);
  const text = (...names: string[]): string => {
    const value = field(...names);
    if (typeof value === "string") return value;
    throw bad(value === undefined ? `"${names[0]}" is missing` : `"${names[0]}" is not text`, `Give "${names[0]}" as a string`);
  };
  if (format === "text") return { kind: "text", text: text("text"), place };
  if (format === "completion") return { kind: "completion", prompt: text("prompt", "question"), completion: text("completion", "response", "answer"), place };
  if (format === "alpaca") return alpaca(place, text("instruction"), field("input") === undefined ? "" : text("input"), text("output", "response"), field("system"));
  if (format === "preference") {
    const side = (name: string): readonly Message[] | string => (Array.isArray(field(name)) ? messagesOf(field(name), name, bad) : text(name));
    const [chosen, rejected] = [side("chosen"), side("rejected")];
    return { kind: "preference", prompt: field("prompt", "question") === undefined ? "" : side("prompt"), chosen, rejected, place };
  }
  const key = format === "messages" ? "messages" : field("conversations") === undefined ? "conversation" : "conversations";
  const messages = messagesOf(field(key), key, bad);
  const system = field("system");
  const all = typeof system === "string" && system !== "" && messages[0].role !== "system" ? [{ role: "system", content: system }, ...messages] : messages;
  const tools = toolsOf(field("tools"), bad);
  return { kind: "chat", messages: all, ...(tools === undefined ? {} : { tools }), place };
}

function alpaca(place: string, instruction: string, input: string, output: string, system: unknown): Example {
  const question = { role: "user", content: input.trim() === "" ? instruction : `${instruction}\n\n${input}` };
  const start = typeof system === "string" && system !== "" ? [{ role: "system", content: system }] : [];
  return { kind: "chat", messages: [...start, question, { role: "assistant", content: output }], place };
}

type Bad = (problem: string, fix: string) => GraftError;

/** Names of ShareGPT's speakers. */
const speakers: Readonly<Record<string, string>> = { human: "user", user: "user", gpt: "assistant", assistant: "assistant", chatgpt: "assistant", bot: "assistant", system: "system", tool: "tool", function: "tool", observation: "tool", function_call: "assistant" };

/** Turns as OpenAI writes them ({ role, content }) or ShareGPT ({ from, value }). */
function messagesOf(value: unknown, key: string, bad: Bad): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw bad(`"${key}" is ${Array.isArray(value) ? "empty" : "not a list"}`, `Give a list of { "role", "content" }`);
  return value.map((turn: unknown, i): Message => {
    if (typeof turn !== "object" || turn === null || Array.isArray(turn)) throw bad(`turn ${i} of "${key}" is not an object`, `Give { "role", "content" }`);
    const { role, from, content, value: said, ...more } = turn as Readonly<Record<string, unknown>>;
    const speaker = role ?? from;
    if (typeof speaker !== "string") throw bad(`turn ${i} of "${key}" has no "role"`, `Say who speaks: "system", "user", "assistant" or "tool"`);
    const known = Object.hasOwn(speakers, speaker) ? speakers[speaker] : undefined;
    if (role === undefined && known === undefined) throw bad(`turn ${i} of "${key}" is from ${JSON.stringify(speaker)}.${didYouMean(speaker, Object.keys(speakers))}`, "Use human, gpt, system or tool");
    const words = content ?? said ?? null;
    if (words === null && more.tool_calls === undefined) throw bad(`turn ${i} of "${key}" has no "content"`, "Give the text, or leave the turn out");
    if (words !== null && typeof words !== "string" && !Array.isArray(words)) throw bad(`the "content" of turn ${i} of "${key}" is not text`, "Give a string");
    return { role: role === undefined ? known! : speaker, content: words as Message["content"], ...more };
  });
}

function toolsOf(value: unknown, bad: Bad): readonly unknown[] | undefined {
  if (value === undefined) return undefined;
  let tools = value;
  if (typeof tools === "string") {
    try {
      tools = JSON.parse(tools);
    } catch {
      throw bad(`"tools" is not valid JSON`, "Give a list of descriptions");
    }
  }
  if (!Array.isArray(tools)) throw bad(`"tools" is not a list`, "Give a list of descriptions");
  return tools;
}

/** Options of {@link examples}. */
export interface ExampleOptions {
  /** Default: by the keys of each row. */
  readonly format?: Format;
}

/**
 * The examples of `.jsonl`, `.json`, `.csv` or `.parquet` files, streamed. Throws `format`, with file and line.
 *
 * @example
 * for await (const example of data.text.examples("chat.jsonl")) console.log(example.kind);
 */
export async function* examples(files: string | readonly string[], { format }: ExampleOptions = {}): AsyncGenerator<Example> {
  for await (const row of rows(files)) yield toExample(row, format);
}
