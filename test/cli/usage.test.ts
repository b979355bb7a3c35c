import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { graft, here, scratch } from "./run.js";

const { dir, remove } = scratch();
afterAll(remove);
const write = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return name;
};
const train = async (name: string, text: string, ...more: string[]): Promise<[number | null, string]> => {
  const { code, err } = await (name.endsWith(".ts") ? graft : here)(["train", write(name, text), ...more], { cwd: dir });
  expect(err).not.toMatch(/^ {4}at /m);
  return [code, err];
};

describe("the command line", () => {
  it("has help with examples for every command", async () => {
    const all = await graft(["--help"]);
    expect(all).toMatchObject({ code: 0, err: "" });
    const commands = ["train", "eval", "predict", "inspect", "profile", "data", "info"];
    for (const command of commands) expect(all.out).toMatch(new RegExp(`^  ${command} +\\S`, "m"));
    for (const command of commands) {
      const { code, out } = await here([command, "--help"]);
      expect([code, out]).toEqual([0, expect.stringMatching(new RegExp(`Usage: graft ${command}[^]*Examples:\n  (GRAFT_\\S+ )?graft ${command}`))]);
    }
  });

  it("tells a wrong command line from wrong input", async () => {
    expect(await here(["--version"])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as unknown });
    expect(await here([])).toMatchObject({ code: 2, out: expect.stringContaining("Usage: graft") as unknown });
    expect(await graft(["trian"])).toMatchObject({ code: 2, err: expect.stringMatching(/unknown command 'trian'[^]*train/) as unknown });
    expect((await here(["train", "a.yaml", "--epcohs", "3"])).code).toBe(2);
    expect(await here(["train", "a.yaml", "--lr", "fast"])).toMatchObject({ code: 2, err: expect.stringMatching(/--lr is "fast"/) as unknown });
    expect(await here(["train", "a.txt"])).toMatchObject({ code: 2 });
    expect(await here(["train", "none.yaml"])).toMatchObject({ code: 1, err: expect.stringMatching(/^graft: none\.yaml/) as unknown });
    expect(await graft(["info"], { env: { GRAFT_THREADS: "1" } })).toMatchObject({ code: 0, out: expect.stringMatching(/GRAFT_THREADS=1/) as unknown });
    expect(await here(["data", "list"])).toMatchObject({ code: 0, out: expect.stringMatching(/digits +1,437 +360/) as unknown });
    expect((await here(["data", "fetch", "mnsit"])).err).toMatch(/Did you mean "mnist"/);
  });
});

describe("recipes", () => {
  const model = "model: { architecture: SimpleCNN }\n";
  it("name every problem with its line and the nearest key", async () => {
    const text = "data:\n  name: digits\n  scal: 2\nmodel:\n  architecture: SimpleCNN\noptimzer: {}\nepochs: many\naugment:\n  - flip: 2\n";
    const [code, err] = await train("bad.yaml", text);
    expect(code).toBe(1);
    expect(err).toMatch(/bad\.yaml:3:3: .*"scal"\. Did you mean "scale"\?[^]*:6:1: .*Did you mean "optimizer"\?[^]*:7:1: epochs is "many"[^]*:9:5: augment\.0\.flip is 2/);
  });
  it("name the line also for what only the model, the optimiser or the data know", async () => {
    expect(await train("m.yaml", "data: { name: digits, scale: 2 }\nmodel:\n  architecture: SimpleCNN\n  hiden: 3\n")).toEqual([1, expect.stringMatching(/m\.yaml:4:3: model\.hiden: .*Did you mean "hidden"/)]);
    expect(await train("o.yaml", `${model}data: { name: digits }\noptimizer: { name: Adam, momentum: 1 }\n`)).toEqual([1, expect.stringMatching(/o\.yaml:3:26: optimizer\.momentum: /)]);
    expect(await train("n.yaml", `${model}data: { name: digts }\n`)).toEqual([1, expect.stringMatching(/n\.yaml:2:9: data\.name: .*"digts"\. Did you mean "digits"/)]);
    expect(await train("l.yaml", "data: { name: digits }\nmodel:\n  layers:\n    - Flatten\n    - Liner: 10\n")).toEqual([1, expect.stringMatching(/l\.yaml:5:7: .*"Liner"\. Did you mean "Linear"/)]);
    expect(await train("c.yaml", "data: { name: digits }\nmodel:\n  layers:\n    - Flatten\n    - Linear: 7\n")).toEqual([1, expect.stringMatching(/give \[7\] for one input, the data have 10 classes/)]);
    expect(await train("y.yaml", "data: { name: digits\n")).toEqual([1, expect.stringMatching(/^graft: y\.yaml:\d+:\d+: /)]);
    expect(await train("s.yaml", `${model}data: { name: digits }\n`, "--set", "epocs=3")).toEqual([1, expect.stringMatching(/--set epocs=3: .*Did you mean "epochs"/)]);
  });
  it("say which row of the data has a label that is no class", async () => {
    write("t.csv", "x,y,kind\n1,2,a\n2,1,b\n3,3,c\n");
    expect(await train("t.yaml", 'data: { csv: t.csv, label: kind, classes: [a, b] }\nmodel: { layers: [{ Linear: 2 }] }\n')).toEqual([1, expect.stringMatching(/t\.csv: line 4, column "kind" has the label "c"/)]);
    const idx = (shape: number[], values: number[]): Buffer => Buffer.from([0, 0, 8, shape.length, ...shape.flatMap((n) => [0, 0, 0, n]), ...values]);
    writeFileSync(join(dir, "images"), idx([4, 2, 2], new Array<number>(16).fill(9)));
    writeFileSync(join(dir, "labels"), idx([4], [0, 1, 7, 1]));
    expect(await train("i.yaml", "data: { idx: { images: images, labels: labels }, classes: 3 }\nmodel: { layers: [Flatten, { Linear: 3 }] }\n")).toEqual([1, expect.stringMatching(/labels: row 2 has the label 7, with 3 classes/)]);
  });
  it("train on tables, for classes and for numbers", async () => {
    const rows = Array.from({ length: 120 }, (_, i) => [i % 12, (i * 7) % 10, i % 12 > 5 ? "many" : "few", 3 * (i % 12) - ((i * 7) % 10)].join(","));
    write("table.csv", `a,b,kind,value\n${rows.join("\n")}\n`);
    const classes = await here(["train", write("k.yaml", "data: { csv: table.csv, label: kind, features: [a, b] }\nmodel: { layers: [{ Linear: 8 }, ReLU, { Linear: 2 }] }\noptimizer: { name: Adam, lr: 0.02 }\nbatchSize: 16\nepochs: 15\n")], { cwd: dir });
    expect(classes.err).toBe("");
    expect(Number(/^test {2}accuracy ([\d.]+) %/m.exec(classes.out)?.[1])).toBeGreaterThan(90);
    expect((await here(["eval", "runs/k", "--data", "table.csv"], { cwd: dir })).out).toMatch(/^all samples {2}accuracy [\d.]+ % .* 120 samples/);
    const numbers = await here(["train", write("v.yaml", "data: { csv: table.csv, target: value, features: [a, b] }\nmodel: { layers: [{ Linear: 1 }] }\noptimizer: { name: Adam, lr: 0.3 }\nbatchSize: 16\nepochs: 40\n")], { cwd: dir });
    expect(Number(/^test {2}loss ([\d.]+)/m.exec(numbers.out)?.[1])).toBeLessThan(1);
  });
});

describe("programs", () => {
  const program = `
    import { data, defineTraining, models, Tensor } from "graftml";
    import { Linear } from "graftml/nn";
    export default defineTraining({
      settings: { epochs: 1, hidden: 8, say: "nothing" },
      data: async () => {
        const { train, test, classes, inputShape } = await data.load("digits");
        return { train: data.takePerClass(train, 5, { labels: train.labels, seed: 0 }), test, classes, inputShape, source: { name: "digits" } };
      },
      model: ({ settings, data: { inputShape } }) => new models.MLP({ inputShape, hidden: [settings.hidden] }),
      after: async ({ settings, model, print, result }) => print([settings.say, result.steps, model.parameters()[0] instanceof Tensor, model.get("layers.0") instanceof Linear].join(" ")),
    });`;
  it("that define a training take flags and run what comes after", async () => {
    const { code, out, err } = await graft(["train", write("t.ts", program), "--set", "say=hello", "--set", "hidden=16", "--batch-size", "10", "--epochs", "2", "--no-progress"], { cwd: dir });
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/MLP, 1,210 parameters[^]*test {2}accuracy[^]*saved to runs.t[^]*\nhello 10 true true\n/); // "graftml" is the copy that runs
    expect((await here(["eval", "runs/t"], { cwd: dir })).code).toBe(0);
    expect(await graft(["train", "t.ts", "--set", "hiden=1"], { cwd: dir })).toMatchObject({ code: 1, err: expect.stringMatching(/no setting "hiden"\. Did you mean "hidden"/) as unknown });
    expect((await graft(["inspect", "t.ts"], { cwd: dir })).out).toMatch(/layers\.0 +Linear/);
  });
  it("of any other kind are simply run", async () => {
    expect(await graft(["train", write("p.ts", 'import { tensor } from "graftml";\nawait 0;\nconst two: number = 2;\nconsole.log(tensor([two]).mul(3).item());')], { cwd: dir })).toMatchObject({ code: 0, out: "6\n", err: "" });
    expect(await train("p.ts", "console.log(1);", "--epochs", "3")).toEqual([1, expect.stringMatching(/--epochs 3 had no effect/)]);
    expect(await train("e.ts", "const = 3;")).toEqual([1, expect.stringMatching(/e\.ts/)]);
    expect(await train("i.ts", 'import "./nowhere.js";')).toEqual([1, expect.stringMatching(/nowhere/)]);
    expect(await train("d.ts", "export default 3;")).toEqual([1, expect.stringMatching(/no training/)]);
    expect(await train("x.ts", 'import { tensor } from "graftml";\ntensor([1, 2]).add(tensor([1, 2, 3]));')).toEqual([1, expect.stringMatching(/\[2\].*\[3\]/)]);
  });
});
