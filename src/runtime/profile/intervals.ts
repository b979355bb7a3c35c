/** A stretch of time in milliseconds. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** The same stretches in order, those that meet joined. */
export function merged(intervals: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  for (const { from, to } of [...intervals].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last.to) result[result.length - 1] = { from: last.from, to: Math.max(last.to, to) };
    else if (to > from) result.push({ from, to });
  }
  return result;
}

/** What is left of some stretches outside others. */
export function without(intervals: readonly Interval[], others: readonly Interval[]): Interval[] {
  const holes = merged(others);
  return merged(intervals).flatMap(({ from, to }) => {
    const left: Interval[] = [];
    let start = from;
    for (const hole of holes) {
      if (hole.to <= start || hole.from >= to) continue;
      if (hole.from > start) left.push({ from: start, to: hole.from });
      start = hole.to;
    }
    if (start < to) left.push({ from: start, to });
    return left;
  });
}

/** Milliseconds of stretches that do not overlap. */
export const lengthOf = (intervals: readonly Interval[]): number => intervals.reduce((sum, { from, to }) => sum + to - from, 0);
