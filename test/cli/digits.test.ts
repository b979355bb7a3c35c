import { readFileSync, readdirSync, statSync, truncateSync, writeFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { example, fixture, graft, here, scratch, type Outcome } from "./run.js";

const { dir, remove } = scratch();
const model = join(dir, "model");
let trained: Outcome;

beforeAll(async () => {
  trained = await graft(["train", example("digits.yaml"), "--epochs", "10", "--out", model], { cwd: dir });
});
afterAll(remove);

describe("graft train RECIPE", () => {
  it("trains, tests and saves", () => {
    expect(trained).toMatchObject({ code: 0, err: "" });
    expect(trained.out).toMatch(/SimpleCNN, 263,882 parameters; samples: 1,294 train, 143 valid, 360 test; seed 0/);
    expect(trained.out).toMatch(/^epoch 10\/10 .*loss \d.*valid_accuracy 0\.\d+.*samples\/s/m);
    expect(Number(/^test {2}accuracy ([\d.]+) %/m.exec(trained.out)?.[1])).toBeGreaterThan(87);
    expect(trained.out).toMatch(/recall %/);
    expect(readdirSync(model).sort()).toEqual(["checkpoint-210", "config.json", "metrics.jsonl", "model.safetensors", "recipe.yaml", "run.json"]);
    expect(JSON.parse(readFileSync(join(model, "run.json"), "utf8"))).toMatchObject({ name: "digits-recipe", stopped: "epochs", settings: { epochs: 10, lr: 0.005 }, results: { test: { samples: 360 } } });
  });

  it("prints no colours and redraws nothing when it is piped", () => expect(trained.out).not.toMatch(/[\u001b\r]/));

  it("goes on after Ctrl-C with the same bits", async () => {
    const args = (name: string): string[] => ["train", example("digits.yaml"), "--batch-size", "16", "--out", join(dir, name)];
    let sent = false;
    const stopped = await graft([...args("a"), "--epochs", "8"], {
      cwd: dir,
      seen(out, child) {
        if (!sent && out.includes("epoch 2/8")) sent = child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.out).toMatch(/interrupted after step \d+\. Saved to .*checkpoint-\d+\. Go on with graft train .* --resume/);
    expect(await here([...args("a"), "--epochs", "8"], { cwd: dir })).toMatchObject({ code: 1, err: expect.stringMatching(/was not finished .* --resume.*--overwrite/) as unknown });
    const [resumed, whole] = [await graft([...args("a"), "--resume"], { cwd: dir }), await here([...args("b"), "--epochs", "8"], { cwd: dir })];
    expect([resumed.code, whole.code]).toEqual([0, 0]);
    expect(resumed.out).toMatch(/resumed from .*step \d+/);
    expect(readFileSync(join(dir, "a", "model.safetensors")).equals(readFileSync(join(dir, "b", "model.safetensors")))).toBe(true);
  });
});

describe("graft eval", () => {
  it("finds the data again and measures what training measured", async () => {
    const { code, out } = await graft(["eval", model, "--json"]);
    const run = JSON.parse(readFileSync(join(model, "run.json"), "utf8")) as { results: { test: { accuracy: number } } };
    const found = JSON.parse(out) as { accuracy: number; samples: number; confusion: number[][] };
    expect([code, found.samples]).toEqual([0, 360]);
    expect(found.accuracy).toBeCloseTo(run.results.test.accuracy, 6);
    expect(found.confusion.flat().reduce((a, b) => a + b)).toBe(360);
  });

  it("says what is wrong with data and model", async () => {
    expect(await here(["eval", model, "--data", "digts"])).toMatchObject({ code: 1, err: expect.stringMatching(/"digts" is neither .* Did you mean "digits"/) as unknown });
    expect(await here(["eval", join(dir, "nothing")])).toMatchObject({ code: 1, err: expect.stringMatching(/nothing: there is no such file or folder/) as unknown });
    const broken = join(dir, "broken");
    cpSync(model, broken, { recursive: true });
    truncateSync(join(broken, "model.safetensors"), Math.floor(statSync(join(model, "model.safetensors")).size / 2));
    const { code, err } = await here(["eval", broken]);
    expect([code, err]).toEqual([1, expect.stringMatching(/^graft: models\.load: .*model\.safetensors/)]);
    expect(err).not.toMatch(/^ {4}at /m); // no stack trace
    writeFileSync(join(broken, "config.json"), '{ "architecture": "SimpelCNN" }');
    expect((await here(["eval", broken])).err).toMatch(/Did you mean "SimpleCNN"/);
    expect((await here(["eval", model, "--split", "half"])).code).toBe(2);
  });
});

describe("graft predict", () => {
  it("reads real pictures, PNG and JPEG, dark on light and light on dark", async () => {
    const files = ["digit-0.png", "digit-3.png", "digit-5.jpg", "digit-7.png"].map(fixture);
    const { code, out } = await graft(["predict", model, ...files, "--json"]);
    const found = out.trim().split("\n").map((line) => JSON.parse(line) as { classes: { class: string; probability: number }[]; remarks: string[] });
    expect([code, found.map(({ classes }) => classes[0].class)]).toEqual([0, ["0", "3", "5", "7"]]);
    expect(found.map(({ remarks }) => remarks[0]?.startsWith("inverted"))).toEqual([true, false, true, true]);
    const plain = await here(["predict", model, files[1], "--top", "2"]);
    expect(plain.out).toMatch(/digit-3\.png: 3 \d+\.\d % {2}\d \d+\.\d % {2}\(cut to \d+x\d+\)/);
  });

  it("says which picture cannot be read, and reads the others", async () => {
    const fake = join(dir, "fake.png");
    writeFileSync(fake, "no picture");
    const { code, out, err } = await here(["predict", model, fake, fixture("digit-3.png")]);
    expect([code, out]).toEqual([1, expect.stringMatching(/digit-3\.png: 3/)]);
    expect(err).toMatch(/fake\.png: is not a picture that can be read/);
    expect((await here(["predict", model, join(dir, "none.png")])).err).toMatch(/none\.png/);
    expect((await here(["predict", model])).code).toBe(2);
  });
});

describe("graft inspect", () => {
  it("knows FLOPs and memory of saved models and recipes before they run", async () => {
    const { code, out } = await graft(["inspect", model]);
    expect(code).toBe(0);
    expect(out).toMatch(/fc1 +Linear +\[64, 128\] +262,272 +weight \[128, 2048\], bias \[128\]/);
    expect(out).toMatch(/one step +batch of 64: [\d.]+ MFLOP/);
    expect(out).toMatch(/inference +batch of 64: [\d.]+ MFLOP.*peak memory [\d.]+ MiB/);
    const recipe = JSON.parse((await here(["inspect", example("layers.yaml"), "--batch-size", "8", "--json"])).out) as { parameters: number; step: { flops: number }; inference: { flops: number } };
    expect(recipe.parameters).toBe(10_026);
    expect(recipe.step.flops).toBeGreaterThan(2 * recipe.inference.flops);
    expect((await here(["inspect", join(model, "model.safetensors")])).out).toMatch(/conv1\.weight +F32 +\[32, 1, 3, 3\] +288/);
    expect((await here(["inspect", model, "--input", "3,5"])).code).toBe(1);
  });
});
