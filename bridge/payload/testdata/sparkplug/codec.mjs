// Decodes lines of hex into lines of JSON, or writes the commands that a host sends, with
// sparkplug-payload. Numbers of 64 bits become text, so that none is rounded.
import { createInterface } from "node:readline";
import sparkplug from "sparkplug-payload";
import Long from "long";

const codec = sparkplug.get("spBv1.0");
const plain = (_, v) => (Long.isLong(v) ? v.toString() : typeof v === "number" && !Number.isFinite(v) ? String(v) : v);

if (process.argv[2] === "decode") {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(codec.decodePayload(Buffer.from(line, "hex")), (k, v) => plain(k, v)));
  }
} else {
  const at = 1795345670000;
  const of = (...metrics) => Buffer.from(codec.encodePayload({ timestamp: at, metrics })).toString("hex");
  const metric = (name, type, value, more) => ({ name, type, value, timestamp: at, ...more });
  console.log(
    JSON.stringify(
      {
        rebirth: of(metric("Node Control/Rebirth", "Boolean", true)),
        "no-rebirth": of(metric("Node Control/Rebirth", "Boolean", false)),
        alias: of({ alias: 3, type: "Int64", value: Long.fromNumber(-9), timestamp: at }),
        null: of(metric("counter", "Int64", null)),
        types: of(
          metric("int8", "Int8", -8),
          metric("int16", "Int16", -16),
          metric("int32", "Int32", -32),
          metric("int64", "Int64", Long.fromNumber(-64)),
          metric("uint8", "UInt8", 200),
          metric("uint32", "UInt32", 4000000000),
          metric("uint64", "UInt64", Long.MAX_UNSIGNED_VALUE),
          metric("float", "Float", 21.3),
          metric("double", "Double", -0.5),
          metric("boolean", "Boolean", true),
          metric("温度", "String", "hoch"),
        ),
      },
      null,
      2,
    ),
  );
}
