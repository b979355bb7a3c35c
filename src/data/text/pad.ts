/** Lists of token ids as rows of one length, row by row. */
export interface PaddedIds {
  /** Tokens per row. */
  readonly length: number;
  readonly inputIds: Int32Array;
  /** 1 at tokens, 0 at padding. */
  readonly attentionMask: Int32Array;
}

/** How rows are filled up. */
export interface PadOptions {
  /** Default: 0. */
  readonly padId?: number;
  /** Lengths are rounded up to a multiple of this, which lets batches share plans. Default: 1. */
  readonly multipleOf?: number;
  /** What a model has positions for: no length is rounded up beyond it. */
  readonly maxLength?: number;
}

/** Fills lists up at their ends to the longest one. */
export function padIds(lists: readonly ArrayLike<number>[], { padId = 0, multipleOf = 1, maxLength = Infinity }: PadOptions = {}): PaddedIds {
  const longest = lists.reduce((most, { length }) => Math.max(most, length), 1);
  const length = Math.max(longest, Math.min(maxLength, Math.ceil(longest / multipleOf) * multipleOf));
  const inputIds = new Int32Array(lists.length * length).fill(padId);
  const attentionMask = new Int32Array(lists.length * length);
  lists.forEach((ids, row) => {
    inputIds.set(ids, row * length);
    attentionMask.fill(1, row * length, row * length + ids.length);
  });
  return { length, inputIds, attentionMask };
}
