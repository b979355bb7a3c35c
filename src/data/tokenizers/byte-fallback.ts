const byteToken = /^<0x([0-9A-F]{2})>$/;

/**
 * Joins tokens that stand for single bytes (`<0xE4>`) to the characters they spell. As in the tokenizers package, a run of bytes that is not valid UTF-8 gives
 * one replacement character for each byte.
 */
export function joinBytes(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      result.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)));
    } catch {
      result.push(..."\ufffd".repeat(bytes.length));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const match = byteToken.exec(token);
    if (match !== null) bytes.push(parseInt(match[1], 16));
    else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}
