// Decodes lines of hex into lines of JSON, or writes the commands that a host sends, or messages of an
// edge node, with sparkplug-payload. Numbers of 64 bits become text, so that none is rounded.
import { createInterface } from "node:readline";
import sparkplug from "sparkplug-payload";
import Long from "long";

const codec = sparkplug.get("spBv1.0");
const plain = (_, v) => (Long.isLong(v) ? v.toString() : typeof v === "number" && !Number.isFinite(v) ? String(v) : v);
const at = 1795345670000;
const encoded = (payload) => Buffer.from(codec.encodePayload(payload)).toString("hex");
const of = (...metrics) => encoded({ timestamp: at, metrics });
const metric = (name, type, value, more) => ({ name, type, value, timestamp: at, ...more });
const numbers = [
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
];

const commands = () => ({
  rebirth: of(metric("Node Control/Rebirth", "Boolean", true)),
  "no-rebirth": of(metric("Node Control/Rebirth", "Boolean", false)),
  alias: of({ alias: 3, type: "Int64", value: Long.fromNumber(-9), timestamp: at }),
  null: of(metric("counter", "Int64", null)),
  types: of(...numbers),
});

const messages = () => ({
  birth: encoded({
    timestamp: at,
    seq: 0,
    metrics: [
      ...numbers.map((m, i) => ({ ...m, alias: i })),
      metric("since", "DateTime", at),
      metric("raw", "Bytes", Buffer.from("00ff41", "hex"), { alias: Long.MAX_UNSIGNED_VALUE }),
      metric("unknown", "Double", null),
      metric("table", "DataSet", { numOfColumns: 1, columns: ["a"], types: ["Int32"], rows: [[7]] }),
      metric("nan", "Double", NaN),
      metric("unit", "Double", 1.5, { properties: { engUnit: { type: "String", value: "bar" } } }),
    ],
  }),
  data: encoded({
    timestamp: at,
    seq: 255,
    metrics: [
      { alias: 0, type: "Int8", value: -9, timestamp: at },
      { alias: 9, type: "Boolean", value: false, isHistorical: true },
    ],
  }),
  death: encoded({ timestamp: at, metrics: [metric("bdSeq", "UInt64", 7)] }),
  compressed: encoded({ timestamp: at, uuid: "SPBV1.0_COMPRESSED", body: Buffer.from("78", "hex"), metrics: [] }),
});

if (process.argv[2] === "decode") {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(codec.decodePayload(Buffer.from(line, "hex")), (k, v) => plain(k, v)));
  }
} else console.log(JSON.stringify(process.argv[2] === "commands" ? commands() : messages(), null, 2));
