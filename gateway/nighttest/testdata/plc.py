#!/usr/bin/python3
"""A PLC that is not ours: python3-pymodbus, serving the registers of contract/sluice.yaml.

Registers 0 and 1 count how often they were read, so every poll is answered with a number of its
own. At the end the count is printed: "served N".
"""
import asyncio
import signal
import struct
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer


def words(fmt, value):
    packed = struct.pack(fmt, value)
    return list(struct.unpack(f">{len(packed) // 2}H", packed))


class Registers(ModbusSequentialDataBlock):
    def __init__(self):
        super().__init__(0, [0] * 200)
        self.served = 0
        low_word_first = list(reversed(words(">f", 1013.25)))  # CDAB
        for address, content in (
            (2, words(">f", 21.5)),
            (4, low_word_first),
            (6, words(">h", -40)),
            (7, [0b0100]),
            (8, words(">q", -1234567890123)),
            (12, words(">d", 0.015625)),
            (16, words("16s", b"press 7")),
            (100, [42]),
        ):
            self.setValues(address, content)

    def getValues(self, address, count=1):
        if address == 0:
            self.served += 1
            self.setValues(0, words(">I", self.served))
        return super().getValues(address, count)


async def main():
    registers = Registers()
    slave = ModbusSlaveContext(di=registers, co=registers, hr=registers, ir=registers, zero_mode=True)
    host, port = sys.argv[1].split(":")
    server = ModbusTcpServer(
        ModbusServerContext(slaves=slave, single=True), address=(host, int(port)), allow_reuse_address=True
    )
    serving = asyncio.create_task(server.serve_forever())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.serving
    print("serving", flush=True)
    await stop.wait()
    print("served", registers.served, flush=True)
    serving.cancel()


asyncio.run(main())
