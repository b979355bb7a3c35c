/**
 * The character that stands for each byte in byte-level tokens (Radford et al. 2019): printable bytes of Latin-1 stand for themselves, the others for the
 * characters from U+0100 on, in order.
 */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const encoder = new TextEncoder();

/** Text as the characters of its UTF-8 bytes. */
export function toByteCharacters(text: string): string {
  let result = "";
  for (const byte of encoder.encode(text)) result += byteCharacters[byte];
  return result;
}
