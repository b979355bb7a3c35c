import type { Template } from "@huggingface/jinja";
import { GraftError } from "../../base/index.js";

/** A turn of a conversation. Templates may read further fields (`tool_calls`, `name`, `reasoning_content`). */
export interface Message {
  /** `system`, `user`, `assistant`, `tool`. */
  readonly role: string;
  readonly content: string | null | readonly unknown[];
  readonly [field: string]: unknown;
}

/** What a chat template is filled with besides the messages. */
export interface ChatTemplateOptions {
  /** Ends with the words that start the assistant's turn, for generation. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of tools, as JSON Schema. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template (`enable_thinking`). */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Ready-made templates for tokenizers that bring none. */
export const chatTemplates = {
  /** Turns between `<|im_start|>role` and `<|im_end|>`: best with a tokenizer in which both are special tokens. */
  chatml:
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  /** Plain text for models without special tokens: `User: ...`, `Assistant: ...`, each answer closed by the end-of-text token. */
  plain:
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token + '\n' }}" +
    "{% else %}{{ message['role'] | capitalize + ': ' + message['content'] + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
} as const;

/** Parses a chat template. Throws `format` when it is not valid Jinja. */
export async function parseTemplate(name: string, source: string): Promise<Template> {
  const { Template: Parsed } = await import("@huggingface/jinja");
  try {
    return new Parsed(source);
  } catch (cause) {
    throw new GraftError("format", `${name}: the chat template is not valid Jinja: ${(cause as Error).message}. Correct it, or give another one.`, { cause });
  }
}

/** Fills a chat template. Throws `argument` for messages that are none, `format` when the template itself refuses them. */
export function renderTemplate(name: string, template: Template, messages: readonly Message[], tokens: Readonly<Record<string, string>>, options: ChatTemplateOptions): string {
  if (!Array.isArray(messages) || messages.length === 0) throw new GraftError("argument", "applyChatTemplate: there are no messages. Pass a list of { role, content }.");
  messages.forEach((message: unknown, i) => {
    const role = typeof message === "object" && message !== null ? (message as { role?: unknown }).role : undefined;
    if (typeof role !== "string") throw new GraftError("argument", `applyChatTemplate: message ${i} has no role. Each needs { role, content }.`);
  });
  const { addGenerationPrompt = false, tools, variables } = options;
  try {
    return template.render({
      messages,
      add_generation_prompt: addGenerationPrompt,
      ...(tools === undefined ? {} : { tools }),
      ...tokens,
      ...variables,
    });
  } catch (cause) {
    throw new GraftError("format", `${name}: the chat template refuses these messages: ${(cause as Error).message}. Correct the messages or give another template.`, { cause });
  }
}
