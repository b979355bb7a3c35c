import { dtypeCode, type Attrs, type AttrValue, type Node } from "../graph/index.js";
import { inputCount } from "./collect.js";

/** Words written so far; grows and is used again for every signature. */
let words = new Int32Array(4096);
let length = 0;

function put(word: number): void {
  if (length === words.length) {
    const larger = new Int32Array(words.length * 2);
    larger.set(words);
    words = larger;
  }
  words[length++] = word;
}

const float = new Float64Array(1);
const halves = new Int32Array(float.buffer);
const texts = new Map<string, number>();

function putText(text: string): void {
  let id = texts.get(text);
  if (id === undefined) texts.set(text, (id = texts.size));
  put(id);
}

function putNumber(value: number): void {
  float[0] = value;
  put(halves[0]);
  put(halves[1]);
}

/** Every kind of value begins with a tag of its own, so that no two attribute lists give the same words. */
function putValue(value: AttrValue): void {
  if (typeof value === "number") {
    put(1);
    putNumber(value);
  } else if (typeof value === "string") {
    put(2);
    putText(value);
  } else if (Array.isArray(value)) {
    put(3);
    put(value.length);
    for (const item of value as readonly (number | string)[]) putValue(item);
  } else put(value === undefined ? 4 : value ? 5 : 6);
}

function putAttrs(attrs: Attrs): void {
  for (const name in attrs) {
    putText(name);
    putValue(attrs[name]);
  }
  put(-1);
}

/**
 * The structure of a graph as words: ops, attributes, wiring, shapes and dtypes of the leaves, and what is wanted. Two graphs have equal words
 * exactly when one plan serves both; values of leaves are not part of it. `nodes` must carry their index. The array is only valid until the next call.
 */
export function signature(nodes: readonly Node[], wanted: readonly (readonly Node[])[]): Int32Array {
  length = 0;
  let recomputes: number[] | undefined; // recomputation marks grow from step to step; only which ones are equal matters
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i];
    if (node.value !== undefined) {
      put(-1);
      put(dtypeCode(node.dtype));
      put(node.shape.length);
      for (let d = 0; d < node.shape.length; d++) put(node.shape[d]);
      continue;
    }
    put(node.op.id);
    const count = inputCount(node);
    put(count);
    for (let j = 0; j < count; j++) put(i - node.inputs[j].index);
    putAttrs(node.attrs);
    if (node.recompute !== 0) {
      recomputes ??= [];
      let mark = recomputes.indexOf(node.recompute);
      if (mark < 0) mark = recomputes.push(node.recompute) - 1;
      put(mark);
    } else put(-1);
  }
  for (const list of wanted) {
    put(-2);
    for (let i = 0; i < list.length; i++) put(list[i].index);
  }
  return words.subarray(0, length);
}

/** A hash of words (FNV-1a over 32-bit words). */
export function hashWords(list: Int32Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < list.length; i++) hash = Math.imul(hash ^ list[i], 0x01000193) ^ (hash >>> 15);
  return hash;
}
