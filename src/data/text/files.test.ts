import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { documents, listFiles, rows, texts } from "./index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "graft-text-"));
});
afterAll(() => rm(folder, { recursive: true }));

const put = async (name: string, content: string | Uint8Array): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe("folders", () => {
  it("are walked by name, without hidden files, other endings and links to folders", async () => {
    const root = join(folder, "walk");
    await mkdir(join(root, "b/.hidden"), { recursive: true });
    for (const name of ["z.d.ts", "b/a.d.ts", "b/a.ts", "b/.hidden/x.d.ts", ".y.d.ts"]) await writeFile(join(root, name), name);
    await symlink(root, join(root, "b/loop"));
    expect(await listFiles(root, { extensions: [".d.ts"] })).toEqual([join(root, "b/a.d.ts"), join(root, "z.d.ts")]);
    expect((await all(documents(root, { extensions: [".d.ts"] }))).map(({ text }) => text)).toEqual(["b/a.d.ts", "z.d.ts"]);
    await expect(listFiles(root)).rejects.toThrow(/holds no file whose name ends in \.txt/);
    await expect(listFiles(join(folder, "nowhere"))).rejects.toThrow(/there is no such file/);
  });
});

describe("text", () => {
  it("comes as lines with their ends", async () => {
    const file = await put("a.txt", "one\n\ntwo ü\nend");
    expect(await all(texts(file))).toEqual(["one\n", "\n", "two ü\n", "end"]);
    expect(await all(texts(await put("a.txt.gz", gzipSync("x\ny"))))).toEqual(["x\n", "y"]);
  });

  it("of long files comes in pieces that lose nothing and begin with a line break", async () => {
    const text = `${"word ü 漢字 \u{1f600}\n\n  indented\n".repeat(100_000)}end`;
    const pieces = await all(documents(await put("long.txt", text)));
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.map((piece) => piece.text).join("")).toBe(text);
    expect(pieces.map(({ last }) => last)).toEqual([...pieces.slice(1).map(() => false), true]);
    for (const piece of pieces.slice(1)) expect(piece.text).toMatch(/^\n\S/);
  });

  it("that is not UTF-8, or broken gzip, is an error with the file's name", async () => {
    await expect(all(texts(await put("latin.txt", Uint8Array.of(97, 10, 0xe9, 10))))).rejects.toThrow(/latin\.txt: is not UTF-8 text/);
    await expect(all(texts(await put("cut.txt", Uint8Array.of(97, 0xc3))))).rejects.toThrow(/is not UTF-8/);
    await expect(all(texts(await put("bad.txt.gz", gzipSync("hello world").subarray(0, 14))))).rejects.toMatchObject({ code: "format" });
    await expect(all(texts(join(folder, "none.txt")))).rejects.toMatchObject({ code: "file" });
  });
});

describe("rows", () => {
  it("of .jsonl, .json, .csv, .tsv", async () => {
    const expected = [{ text: "a\nb", n: "1" }, { text: 'say "x"', n: "2" }];
    const lines = expected.map((row) => JSON.stringify(row));
    expect((await all(rows(await put("r.jsonl", `${lines[0]}\n\n${lines[1]}\n`)))).map(({ fields, line }) => [fields, line])).toEqual([[expected[0], 1], [expected[1], 3]]);
    expect((await all(rows(await put("r.json", JSON.stringify(expected))))).map(({ fields }) => fields)).toEqual(expected);
    expect((await all(rows(await put("r.csv", 'text,n\n"a\nb",1\n"say ""x""",2\n')))).map(({ fields }) => fields)).toEqual(expected);
    expect((await all(rows(await put("r.tsv", "text\tn\nx\t1\n")))).map(({ fields }) => fields)).toEqual([{ text: "x", n: "1" }]);
    expect(await all(texts(join(folder, "r.jsonl")))).toEqual(["a\nb", 'say "x"']);
  });

  it.each(["snappy", "gzip", "brotli"])("of parquet files with %s", async (codec) => {
    const file = fileURLToPath(new URL(`../../../test/golden/tokenizers/rows-${codec}.parquet`, import.meta.url));
    const found = await all(rows(file));
    expect(found.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(found[7].fields).toEqual({ text: "row 7 ü", label: 7n });
    expect(await all(texts(file))).toHaveLength(10);
  });

  it("say where they are wrong", async () => {
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["w.jsonl", '{"text": "a"}\n{"text": \n', /w\.jsonl, line 2: is not valid JSON/],
      ["w.jsonl", "[1]\n", /line 1: is a list, not an object/],
      ["w.jsonl", "null\n", /line 1: is null/],
      ["w.json", "{}", /is not a list of records/],
      ["w.csv", "a,b\n1,2\n3\n", /w\.csv, line 3/],
      ["w.parquet", "PAR1 this is none PAR1", /is not a parquet file/],
      ["w.bin", "", /a file of rows ends in/],
    ];
    for (const [name, content, message] of cases) await expect(all(rows(await put(name, content))), content).rejects.toThrow(message);
    await expect(all(texts(await put("f.jsonl", '{"txt": "a"}\n')))).rejects.toThrow(/f\.jsonl, line 1: has no field "text"\. Did you mean "txt"/);
    await expect(all(texts(await put("f.jsonl", '{"text": 3}\n')))).rejects.toThrow(/which is not text/);
  });
});
