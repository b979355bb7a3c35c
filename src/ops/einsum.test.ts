import { describe, expect, it } from "vitest";
import { F, GraftError, ones, randn, type Tensor } from "graftml";
import type { Node } from "../graph/index.js";
import { parseEinsum } from "./einsum.js";

/** Names of all ops that a tensor is made of. */
function opNames(x: Tensor): string[] {
  const seen = new Set<Node>();
  const visit = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    node.inputs.forEach(visit);
  };
  visit(x.node);
  return [...seen].map((node) => node.op.name);
}
const matmuls = (x: Tensor): number => opNames(x).filter((name) => name === "matmul").length;

describe("parseEinsum", () => {
  it("spells out ellipses from the right", () => {
    expect(parseEinsum("...ij,...jk->...ik", [[5, 2, 3], [7, 5, 3, 4]])).toEqual({
      inputs: [["...0", "i", "j"], ["...1", "...0", "j", "k"]],
      output: ["...1", "...0", "i", "k"],
    });
  });
  it("works out the output: labels that occur once, in order", () => {
    expect(parseEinsum("ba", [[2, 3]]).output).toEqual(["a", "b"]);
    expect(parseEinsum("ij, jk", [[2, 3], [3, 4]]).output).toEqual(["i", "k"]);
    expect(parseEinsum("ii", [[2, 2]]).output).toEqual([]);
    expect(parseEinsum("...a", [[2, 3]]).output).toEqual(["...0", "a"]);
  });
  it.each<[string, number[][], string]>([
    ["ij,jk", [[2, 3]], "2 terms for 1 operands"],
    ["ij->ik", [[2, 3]], 'the output label "k" is in no term'],
    ["ij->ii", [[2, 3]], 'the output names "i" twice'],
    ["ij->i->j", [[2, 3]], 'more than one "->"'],
    ["i1", [[2, 3]], '"i1" is not a term'],
    ["ijk", [[2, 3]], 'term "ijk" names 3 dims, operand 0 is [2, 3]'],
    ["i", [[2, 3]], 'cover some with "..."'],
  ])("refuses %s", (equation, shapes, message) => expect(() => parseEinsum(equation, shapes)).toThrow(message));
});

describe("einsum", () => {
  it("makes one matmul per pair, and none where nothing is summed", () => {
    expect(matmuls(F.einsum("bhqd,bhkd->bhqk", randn([2, 3, 4, 5]), randn([2, 3, 6, 5])))).toBe(1);
    expect(matmuls(F.einsum("ij,jk,kl->il", randn([2, 3]), randn([3, 4]), randn([4, 5])))).toBe(2);
    expect(matmuls(F.einsum("i,j->ij", randn([2]), randn([3])))).toBe(0);
  });
  it("contracts the pair with the smallest result first", () => {
    // (a b) would be 100 x 100; (b c) is 2 x 1
    const result = F.einsum("ij,jk,kl->il", ones([100, 2]), ones([2, 100]), ones([100, 1]));
    const sizes = new Set<number>();
    const visit = (node: Node): void => {
      if (node.op.name === "matmul") sizes.add(node.shape.reduce((a, b) => a * b, 1));
      node.inputs.forEach(visit);
    };
    visit(result.node);
    expect(Math.max(...sizes)).toBe(100);
    expect(result.dataSync()[0]).toBe(200);
  });
  it("names sizes that do not fit", () => {
    expect(() => F.einsum("ij,jk->ik", ones([2, 3]), ones([4, 5]))).toThrow('label "j" has size 3 in one place and 4 in another ([2, 3], [4, 5])');
    expect(() => F.einsum("ii->i", ones([2, 3]))).toThrow("A diagonal needs equal sizes");
    expect(() => F.einsum("ij")).toThrow(GraftError);
    expect(() => F.einsum(ones([2]) as never, ones([2]))).toThrow("the equation is object");
  });
});
