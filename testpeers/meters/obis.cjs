// Reads a meter once with smartmeter-obis and prints what it told, as JSON from code to values.
// node obis.cjs D0Protocol|SmlProtocol SerialRequestResponseTransport|SerialResponseTransport PORT BAUD
const { init } = require("smartmeter-obis");

const [protocol, transport, port, baud] = process.argv.slice(2);
const reader = init(
  {
    protocol,
    transport,
    transportSerialPort: port,
    transportSerialBaudrate: Number(baud),
    transportSerialMessageTimeout: 20000,
    requestInterval: -1,
    obisFallbackMedium: 1,
    logger: (text) => console.error(text),
  },
  (err, result) => {
    if (err) {
      console.error(String(err));
      process.exit(1);
    }
    const told = Object.fromEntries(Object.entries(result).map(([code, m]) => [code, m.values]));
    process.stdout.write(JSON.stringify(told), () => process.exit(0));
  },
);
reader.process();
