import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, models } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Conversation } from "../../src/cli/conversation.js";
import { graft, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);
const base = join(dir, "base");
let tokenizer: data.tokenizers.Tokenizer;
beforeAll(async () => {
  cpSync(fileURLToPath(new URL("../golden/models/llama", import.meta.url)), base, { recursive: true, filter: (path) => !/adapter|reference/.test(path) });
  tokenizer = await data.tokenizers.trainCharacters([Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("")], { roles: { eos: "</s>" } });
  await tokenizer.save(base);
});

const template = "{% for m in messages %}[{{ m.role[0] }}]{{ m.content }};{% endfor %}{% if add_generation_prompt %}[a]{% endif %}";
const chat = ["chat", base, "--template", template, "--show-prompt", "--max-tokens", "3"];
const prompts = (err: string): string[] => err.split("\n").filter((line) => line.startsWith("["));

describe("graft chat", () => {
  it("needs a chat template", async () => {
    const { code, err } = await graft(["chat", base]);
    expect(code).toBe(1);
    expect(err).toMatch(/has no chat template.*--template/);
  });

  it("sends the whole conversation through the template; /reset forgets it, /exit ends it", async () => {
    const { code, out, err } = await graft([...chat, "--system", "Be kind."], { input: "Hi\nAgain\n/rest\n/reset\nNew\n/exit\nnever\n" });
    expect(code).toBe(0);
    const answers = out.split("\n").slice(0, -1);
    expect(answers).toHaveLength(3);
    expect(prompts(err)).toEqual(["[s]Be kind.;[u]Hi;[a]", `[s]Be kind.;[u]Hi;[a]${answers[0].trim()};[u]Again;[a]`, "[s]Be kind.;[u]New;[a]"]);
    expect(err).toMatch(/there is no command \/rest; there are \/reset and \/exit/);
  });

  it("answers line by line while stdin stays open, and ends with it", async () => {
    let turns = 0;
    const { code, out, err } = await graft(chat, {
      input: null,
      seen: (text, child) => {
        const lines = text.split("\n").length - 1;
        if (lines <= turns) return;
        turns = lines;
        if (turns === 1) child.stdin!.write("Second\n");
        else child.stdin!.end();
      },
      started: (child) => child.stdin!.write("First\n"),
    });
    expect(code).toBe(0);
    expect(prompts(err)).toEqual(["[u]First;[a]", `[u]First;[a]${out.split("\n")[0].trim()};[u]Second;[a]`]);
  });

  it.each(["while it waits", "while it answers"])("Ctrl-C ends it %s", async (when) => {
    const long = when === "while it answers";
    const { code, out } = await graft(long ? [...chat, "--max-tokens", "100000"] : chat, {
      input: null,
      started: (child) => child.stdin!.write("First\n"),
      seen: (text, child) => (long || text.endsWith("\n")) && child.kill("SIGINT"),
    });
    expect(code).toBe(130);
    expect(out).toMatch(/\n$/);
  });
});

describe("a conversation", () => {
  const made = async (source: string, forgotten: number[] = [], seen: string[] = []) =>
    new Conversation(
      { model: await models.load(base), tokenizer: await tokenizer.withChatTemplate(source) },
      { generate: { maxNewTokens: 4 }, onPrompt: (text) => seen.push(text), onForgotten: (count) => forgotten.push(count) },
    );
  const say = async (conversation: Conversation, text: string): Promise<string> => {
    let answer = "";
    for await (const piece of conversation.answer(text)) answer += piece;
    return answer;
  };

  it("that grows too long forgets its oldest messages, and refuses one message that is too long", async () => {
    const [forgotten, seen] = [[] as number[], [] as string[]];
    const conversation = await made(template, forgotten, seen);
    for (const letter of "abc") await say(conversation, letter.repeat(20));
    expect(forgotten).toEqual([2]); // 64 positions
    expect(seen[2]).toMatch(/^\[u\]b{20};\[a\].*;\[u\]c{20};\[a\]$/);
    await expect(say(conversation, "x".repeat(70))).rejects.toThrow(/gives \d+ tokens, the model has room for 64/);
    expect(conversation.messages.at(-1)!.role).toBe("assistant");
  });

  it("ends an answer where the template ends it", async () => {
    const plain = await made(template);
    const whole = await say(plain, "Hi");
    const end = whole[1];
    const cut = await made(template.replace(";", end));
    expect((await say(cut, "Hi")).includes(end)).toBe(false);
  });
});
