import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { GraftError } from "../../base/index.js";

/** An environment variable; an empty one counts as absent. */
const variable = (name: string): string | undefined => process.env[name] || undefined;
const path = (name: string): string | undefined => variable(name)?.replace(/^~(?=\/|$)/, homedir());
const isOn = (name: string): boolean => /^(1|on|yes|true)$/i.test(process.env[name] ?? "");
const seconds = (name: string, otherwise: number): number => (Number(variable(name)) > 0 ? Number(variable(name)) : otherwise);

const home = (): string => path("HF_HOME") ?? join(path("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");

/** What Hugging Face's own environment variables say, read when asked. */
export const hubSettings = {
  /** The folder in which Python's packages keep models too. */
  get cache(): string {
    return path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? join(home(), "hub");
  },
  /** Whether nothing may be asked of the network. */
  get offline(): boolean {
    return isOn("HF_HUB_OFFLINE") || isOn("TRANSFORMERS_OFFLINE");
  },
  /** Another server than the usual one. */
  get endpoint(): string | undefined {
    return variable("HF_ENDPOINT")?.replace(/\/+$/, "");
  },
  get quiet(): boolean {
    return isOn("HF_HUB_DISABLE_PROGRESS_BARS");
  },
  /** Milliseconds to wait for an answer about a model. */
  get answerTimeout(): number {
    return 1000 * seconds("HF_HUB_ETAG_TIMEOUT", 10);
  },
  /** Milliseconds in which some part of a file must come. */
  get dataTimeout(): number {
    return 1000 * seconds("HF_HUB_DOWNLOAD_TIMEOUT", 30);
  },
} as const;

/** The user's token: HF_TOKEN, or what `hf auth login` left. Throws `config` for one that cannot be right. */
export async function hubToken(): Promise<string | undefined> {
  const file = path("HF_TOKEN_PATH") ?? join(home(), "token");
  const given = variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN");
  const token = (given ?? (await readFile(file, "utf8").catch(() => ""))).trim();
  if (token === "") return undefined;
  if (!/^hf_\w+$/.test(token)) throw new GraftError("config", `hub: the token in ${given === undefined ? file : "HF_TOKEN"} does not begin with hf_. Correct it, or remove it.`);
  return token;
}
