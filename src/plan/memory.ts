/** A buffer to be placed: its size and the first and last step that use it. */
export interface Block {
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

const alignment = 64; // a cache line, and the widest vector

export const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/**
 * Places blocks so that no two that live at the same time overlap: largest first, each into the lowest gap that fits between those already
 * placed (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference"). Returns offsets and the size of the arena.
 */
export function placeBlocks(blocks: readonly Block[], reuse: boolean): { offsets: number[]; size: number } {
  const offsets = new Array<number>(blocks.length).fill(0);
  let size = 0;
  const placed: { from: number; to: number; start: number; end: number }[] = []; // ascending by start
  const order = blocks.map((_, i) => i).sort((a, b) => blocks[b].bytes - blocks[a].bytes || a - b);
  for (const i of order) {
    const { bytes, from, to } = blocks[i];
    const length = aligned(bytes);
    let start = 0;
    for (const other of placed) {
      if (reuse && (other.to < from || other.from > to)) continue;
      if (other.start - start >= length) break;
      if (other.end > start) start = other.end;
    }
    offsets[i] = start;
    size = Math.max(size, start + length);
    const at = placed.findIndex((other) => other.start > start);
    placed.splice(at < 0 ? placed.length : at, 0, { from, to, start, end: start + length });
  }
  return { offsets, size };
}
