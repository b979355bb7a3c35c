// npx tsx examples/lm/aliases.ts FOLDER
//
// Fine-tuning data that every checkout has: type aliases of the .d.ts files under node_modules. The name is the prompt, the rest of the line the answer.
// Writes FOLDER/train.jsonl and, with every tenth alias, FOLDER/valid.jsonl.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2] ?? "runs/alias-data";
const files = readdirSync("node_modules", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".d.ts")).sort();
const pairs = new Map<string, string>();
for (const file of files) {
  for (const [, prompt, completion] of readFileSync(join("node_modules", file), "utf8").matchAll(/^(export type \w+ =)( [^\n{]{4,80};)$/gm)) pairs.set(prompt, completion);
}
const lines = [...pairs].map(([prompt, completion]) => `${JSON.stringify({ prompt, completion })}\n`);
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "train.jsonl"), lines.filter((_, i) => i % 10 !== 9).join(""));
writeFileSync(join(folder, "valid.jsonl"), lines.filter((_, i) => i % 10 === 9).join(""));
process.stdout.write(`${lines.length} aliases in ${folder}/train.jsonl and ${folder}/valid.jsonl\n`);
