// Reads and writes a simulated device as unit 1 and prints what it got: client.cjs tcp|rtu+tcp PORT, or
// rtu|ascii PATH.
const Modbus = require("modbus-serial");
const [mode, at] = process.argv.slice(2);

async function main() {
	const client = new Modbus();
	const serial = { baudRate: 115200 };
	switch (mode) {
	case "tcp": await client.connectTCP("127.0.0.1", { port: Number(at) }); break;
	case "rtu+tcp": await client.connectTelnet("127.0.0.1", { port: Number(at) }); break; // its TcpRTUBuffered is Modbus TCP
	case "rtu": await client.connectRTUBuffered(at, serial); break;
	case "ascii": await client.connectAsciiSerial(at, serial); break;
	default: throw new Error("no mode " + mode);
	}
	client.setID(1);
	client.setTimeout(5000);
	console.log("setpoint", (await client.readHoldingRegisters(100, 1)).data.join());
	console.log("coils", (await client.readCoils(2, 3)).data.slice(0, 3).join());
	console.log("wrote", (await client.writeRegister(200, 77)).value);
	await client.writeRegisters(201, [78, 79]);
	console.log("wrote", "78,79");
	console.log("read", (await client.readHoldingRegisters(200, 3)).data.join());
	await client.readHoldingRegisters(500, 1).catch(e => console.log("hole", e.message));
	client.close(() => process.exit(0));
}

main().catch(e => { console.log(e); process.exit(1); });
