/** Lists of token ids as rows of one length, row by row. */
export interface PaddedIds {
  /** Tokens per row. */
  readonly length: number;
  readonly inputIds: Int32Array;
  /** 1 at tokens, 0 at padding. */
  readonly attentionMask: Int32Array;
}

/** Fills lists up at their ends to the longest one, or to a multiple of `multipleOf`, which lets batches share plans. */
export function padIds(lists: readonly ArrayLike<number>[], { padId = 0, multipleOf = 1, maxLength = Infinity }: { readonly padId?: number; readonly multipleOf?: number; readonly maxLength?: number } = {}): PaddedIds {
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
