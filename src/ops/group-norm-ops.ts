import { defineOp, recordMany, sizeOf, type RefArray, type Tensor } from "../graph/index.js";
import { column, eachElement } from "./channels.js";
import { reshape } from "./movement.js";
import { normalised, rowSlopes } from "./norm-ops.js";
import { sum } from "./reduce.js";
import { besides, floatKernel } from "./rows.js";
import { add, mul } from "./scalar.js";

// Group norm of x [B, C, S], the channels in G groups of n = C / G S values per sample (Wu and He, 2018):
//   xhat = (x - mean) r, r = 1 / sqrt(var + eps), y = xhat w + b
//   db = sum dy, dw = sum dy xhat (over samples and S), g = dy w, dx = r (g - mean(g) - xhat mean(g xhat)) with the means over a group

type GroupNormAttrs = { readonly groups: number; readonly eps: number; readonly weight: boolean; readonly bias: boolean };
type GroupNormBackwardAttrs = { readonly groups: number; readonly eps: number; readonly weight: boolean };

const asRows = (x: Tensor, groups: number): Tensor => reshape(x, [x.shape[0] * groups, x.shape[0] === 0 ? 0 : x.size / (x.shape[0] * groups)]);

/** [x [B, C, S], w [C]?, b [C]?] -> [y, [B G, 2] with mean and r]. */
export const groupNormOp = defineOp<GroupNormAttrs>({
  name: "groupNorm",
  trait: "opaque",
  infer: ([{ shape, dtype }], { groups }) => [{ shape, dtype }, { shape: [shape[0] * groups, 2], dtype }],
  vjp: ({ inputs: [x, ...parameters], outputs: [, stats], grads: [grad], attrs: { groups, eps, weight, bias } }) => {
    if (grad === undefined) return [];
    const [dx, dw, db] = recordMany(groupNormBackwardOp, [x, stats, grad, ...(weight ? [parameters[0]] : [])], { groups, eps, weight });
    return [dx, ...(weight ? [dw] : []), ...(bias ? [db] : [])];
  },
  evaluate: ([x, ...parameters], { groups, eps, weight, bias }, [y, stats]) => {
    const [w, b] = [weight ? parameters[0].data : undefined, bias ? parameters[weight ? 1 : 0].data : undefined];
    const rows = x.shape[0] * groups;
    const n = rows === 0 ? 0 : x.data.length / rows;
    const [middle, variance] = [new Float64Array(rows), new Float64Array(rows)];
    x.data.forEach((v, i) => void (middle[Math.floor(i / n)] += v / n));
    x.data.forEach((v, i) => void (variance[Math.floor(i / n)] += (v - middle[Math.floor(i / n)]) ** 2 / n));
    for (let group = 0; group < rows; group++) stats.data.set([middle[group], 1 / Math.sqrt(variance[group] + eps)], 2 * group);
    eachElement(x, (i, c) => {
      const group = Math.floor(i / n);
      y.data[i] = (x.data[i] - middle[group]) * stats.data[2 * group + 1] * (w?.[c] ?? 1) + (b?.[c] ?? 0);
    });
  },
  composite: ([x, ...parameters], { groups, eps, weight, bias }) => {
    const { xhat, middle, r } = normalised(asRows(x, groups), { centred: true, eps });
    const plain = reshape(xhat, x.shape);
    const scaled = weight ? mul(plain, column(parameters[0])) : plain;
    return [bias ? add(scaled, column(parameters[weight ? 1 : 0])) : scaled, besides(middle, r)];
  },
  kernel: (inputs, { groups, eps, weight, bias }) => floatKernel(inputs, "groupNorm", [groups, eps, Number(weight), Number(bias)]),
  flops: ([x]) => sizeOf(x.shape) * 8,
});

/** [x, [B G, 2], dy, w?] -> [dx, dw [C], db [C]]. */
const groupNormBackwardOp = defineOp<GroupNormBackwardAttrs>({
  name: "groupNormBackward",
  trait: "opaque",
  infer: ([{ shape, dtype }]) => [{ shape, dtype }, { shape: [shape[1]], dtype }, { shape: [shape[1]], dtype }],
  evaluate: ([x, stats, dy, w], { groups }, [dx, dw, db]) => {
    const rows = x.shape[0] * groups;
    const n = rows === 0 ? 0 : x.data.length / rows;
    const [meanG, meanGx] = [new Float64Array(rows), new Float64Array(rows)];
    const xhat = (i: number, group: number): number => (x.data[i] - stats.data[2 * group]) * stats.data[2 * group + 1];
    const slope = (i: number, c: number): number => dy.data[i] * ((w as RefArray | undefined)?.data[c] ?? 1);
    dw.data.fill(0);
    db.data.fill(0);
    eachElement(x, (i, c) => {
      const group = Math.floor(i / n);
      dw.data[c] += dy.data[i] * xhat(i, group);
      db.data[c] += dy.data[i];
      meanG[group] += slope(i, c) / n;
      meanGx[group] += (slope(i, c) * xhat(i, group)) / n;
    });
    eachElement(x, (i, c) => {
      const group = Math.floor(i / n);
      dx.data[i] = stats.data[2 * group + 1] * (slope(i, c) - meanG[group] - xhat(i, group) * meanGx[group]);
    });
  },
  // From x alone, not from the stored statistics: so its gradient is complete.
  composite: ([x, , dy, w], { groups, eps, weight }) => {
    const { xhat, r } = normalised(asRows(x, groups), { centred: true, eps });
    const g = asRows(weight ? mul(dy, column(w)) : dy, groups);
    return [reshape(rowSlopes(g, xhat, r, true), x.shape), sum(mul(dy, reshape(xhat, x.shape)), { dim: [0, 2] }), sum(dy, { dim: [0, 2] })];
  },
  kernel: (inputs, { groups, weight }) => floatKernel(inputs, "groupNormBackward", [groups, Number(weight)]),
  flops: ([x]) => sizeOf(x.shape) * 14,
});
