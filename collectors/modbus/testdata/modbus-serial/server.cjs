// A device whose holding registers count from 1000 on: server.cjs tcp PORT, or rtu PATH.
const Modbus = require("modbus-serial");
const [mode, at] = process.argv.slice(2);

const written = new Map();
const vector = {
	getHoldingRegister: address => written.get(address) ?? 1000 + address,
	getInputRegister: address => address,
	getCoil: address => address % 2 === 1,
	setRegister: (address, value) => { written.set(address, value); },
	setCoil: () => {},
};
if (mode === "tcp") {
	new Modbus.ServerTCP(vector, { host: "127.0.0.1", port: Number(at), unitID: 1 });
} else {
	new Modbus.ServerSerial(vector, { port: at, baudRate: 115200, unitID: 1, openOptions: { baudRate: 115200 } }, { path: at, baudRate: 115200 });
}
