import { contiguousStrides, type Shape, type StridedView } from "../graph/index.js";

/** Whether a view is a plain contiguous block (dims of size 1 do not matter). */
export function isContiguous({ shape, strides }: StridedView): boolean {
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] === 1) continue;
    if (strides[d] !== step) return shape.includes(0);
    step *= shape[d];
  }
  return true;
}

/** The strides of a view stretched to `shape`: 0 for new leading dims, and where a size of 1 stretches. */
export function broadcastStrides(view: Pick<StridedView, "shape" | "strides">, shape: Shape): number[] {
  const lead = shape.length - view.shape.length;
  return shape.map((size, d) => (d < lead || (view.shape[d - lead] === 1 && size !== 1) ? 0 : view.strides[d - lead]));
}

/**
 * The strides that show the same memory under another shape, or undefined where that needs a copy.
 * Runs of dims that lie densely inside each other are matched against runs of the new shape with the same product.
 */
export function reshapeView(view: StridedView, shape: Shape): StridedView | undefined {
  if (isContiguous(view)) return { shape, strides: contiguousStrides(shape), offset: view.offset };
  const old = view.shape.map((size, d) => ({ size, stride: view.strides[d] })).filter(({ size }) => size !== 1);
  const strides = new Array<number>(shape.length).fill(0);
  let at = 0;
  for (let from = 0; from < old.length; ) {
    let oldSize = old[from].size;
    let to = from + 1;
    while (at < shape.length && shape[at] === 1) at++;
    let newSize = shape[at];
    let end = at + 1;
    while (oldSize !== newSize) {
      if (oldSize < newSize) oldSize *= old[to++].size;
      else newSize *= shape[end++];
    }
    for (let d = from; d < to - 1; d++) if (old[d].stride !== old[d + 1].stride * old[d + 1].size) return undefined;
    let step = old[to - 1].stride;
    for (let d = end - 1; d >= at; d--) {
      strides[d] = step;
      step *= shape[d];
    }
    [from, at] = [to, end];
  }
  return { shape, strides, offset: view.offset };
}
