import { describe, expect, it } from "vitest";
import { protoFields, ProtoWriter } from "./protobuf.js";

const hex = (writer: ProtoWriter): string => Buffer.from(writer.finish()).toString("hex");

// The first three are the examples of protobuf's own description of the encoding.
describe("protobuf", () => {
  it("numbers, texts, messages", () => {
    expect(hex(new ProtoWriter().int(1, 150))).toBe("089601");
    expect(hex(new ProtoWriter().string(2, "testing"))).toBe("120774657374696e67");
    expect(hex(new ProtoWriter().message(3, new ProtoWriter().int(1, 150)))).toBe("1a03089601");
    expect(hex(new ProtoWriter().float(2, 1))).toBe("150000803f");
    expect(hex(new ProtoWriter().raw(9, [1, 255]))).toBe("4a0201ff");
  });

  it("negative and large numbers", () => {
    expect(hex(new ProtoWriter().int(3, -1))).toBe("18ffffffffffffffffff01");
    expect(hex(new ProtoWriter().int(1, 2 ** 31))).toBe("088080808008");
    expect(hex(new ProtoWriter().int(1, 2n ** 63n - 1n))).toBe("08ffffffffffffffff7f");
    expect(hex(new ProtoWriter().int(20, 7))).toBe("a00107"); // a field above 15
  });

  it("fields are read as they were written", () => {
    const writer = new ProtoWriter().int(1, 2 ** 40).double(2, 0.5).float(20, 1).string(3, "ab").int(1, 0);
    const fields = protoFields(Buffer.from(writer.finish())).map(([field, value]) => [field, typeof value === "number" ? value : value.toString("hex")]);
    expect(fields).toEqual([[1, 2 ** 40], [2, "000000000000e03f"], [20, "0000803f"], [3, "6162"], [1, 0]]);
  });

  it("a header stands for bytes that come later", () => {
    const head = new ProtoWriter().header(7, 3_000_000_000);
    expect([hex(head), head.length]).toEqual(["3a80bcc1960b", 6]);
  });
});
