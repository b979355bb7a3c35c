import { Tensor } from "../graph/index.js";
import { add, cat, padOp, zeros } from "../ops/index.js";

/** A gradient that is 0 but for elements `start` to `start + size` along one dim: what a slice sends back. */
interface Part {
  readonly dim: number;
  readonly start: number;
  readonly inner: Tensor;
}

function asPart(gradient: Tensor): Part | undefined {
  const { op, attrs, inputs } = gradient.node;
  if ((op as unknown) !== padOp || attrs.value !== 0) return undefined;
  const pads = attrs.pads as readonly number[];
  const padded = gradient.shape.map((_, d) => d).filter((d) => pads[2 * d] > 0 || pads[2 * d + 1] > 0);
  if (padded.length !== 1) return undefined;
  return { dim: padded[0], start: pads[2 * padded[0]], inner: new Tensor(inputs[0]) };
}

/** Joins parts that lie side by side along one dim, with zeros between them; undefined when two overlap. */
function join(parts: readonly Part[], whole: Tensor): Tensor | undefined {
  const { dim } = parts[0];
  const pieces: Tensor[] = [];
  const gap = (size: number): void => void (size > 0 && pieces.push(zeros(whole.shape.map((n, d) => (d === dim ? size : n)), { dtype: whole.dtype })));
  let end = 0;
  for (const { start, inner } of [...parts].sort((a, b) => a.start - b.start)) {
    if (start < end) return undefined;
    gap(start - end);
    pieces.push(inner);
    end = start + inner.shape[dim];
  }
  gap(whole.shape[dim] - end);
  return cat(pieces, dim);
}

/**
 * The sum of the gradients that arrived at one value. Those of slices that do not overlap (split, unbind, the gates and steps of a recurrent network,
 * query, key and value of an attention layer) are put side by side; adding zero-padded copies would cost the whole size for each.
 */
export function accumulate(gradients: readonly Tensor[]): Tensor {
  if (gradients.length === 1) return gradients[0];
  const rest: Tensor[] = [];
  const byDim = new Map<number, { readonly part: Part; readonly gradient: Tensor }[]>();
  for (const gradient of gradients) {
    const part = asPart(gradient);
    if (part === undefined) rest.push(gradient);
    else {
      const entries = byDim.get(part.dim);
      if (entries === undefined) byDim.set(part.dim, [{ part, gradient }]);
      else entries.push({ part, gradient });
    }
  }
  for (const entries of byDim.values()) {
    const joined = entries.length > 1 ? join(entries.map(({ part }) => part), entries[0].gradient) : undefined;
    rest.push(...(joined === undefined ? entries.map(({ gradient }) => gradient) : [joined]));
  }
  return rest.reduce((total, gradient) => add(total, gradient));
}
