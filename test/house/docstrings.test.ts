import { join } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { root } from "./tree.js";

interface Public {
  readonly name: string;
  readonly symbol: ts.Symbol;
}

let checker: ts.TypeChecker;
let all: Public[];

/** What `import ... from "graftml"` offers, and what its namespaces (F, nn, optim, ...) offer in turn. */
function exportsOf(module: ts.Symbol, prefix: string): Public[] {
  return checker.getExportsOfModule(module).flatMap((exported): Public[] => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const name = `${prefix}${exported.name}`;
    return symbol.flags & ts.SymbolFlags.ValueModule && prefix.split(".").length < 3 ? exportsOf(symbol, `${name}.`) : [{ name, symbol }];
  });
}

beforeAll(() => {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config as { compilerOptions: object };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const entry = join(root, "src/index.ts");
  const program = ts.createProgram([entry], options);
  checker = program.getTypeChecker();
  all = exportsOf(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!, "");
}, 120_000);

const documented = (symbol: ts.Symbol): boolean => symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0;

/** An element-wise function whose name is its formula (abs, sin, neg) needs no sentence. */
const speaks = new Set(
  "abs acos asin atan atan2 ceil cos cosh exp floor log neg round sin sinh sqrt tan tanh trunc sign erf".split(" ").map((name) => `F.${name}`),
);

describe("docstrings", () => {
  it("finds the public surface", () => {
    const names = new Set(all.map(({ name }) => name));
    for (const name of ["tensor", "Tensor", "F.conv2d", "nn.Linear", "optim.Adam", "GraftError"]) expect(names).toContain(name);
  });

  it("every export has one", () => {
    expect(all.filter(({ name, symbol }) => !documented(symbol) && !speaks.has(name)).map(({ name }) => name)).toEqual([]);
  });
});
