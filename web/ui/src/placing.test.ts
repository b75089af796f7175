import { expect, test } from 'vitest'

import { placed, settingsOf } from './placing'

test('an address is a host with a port or a serial port', () => {
  expect(placed('192.168.1.20', 'modbus', '1')).toEqual({ device: { address: 'tcp://192.168.1.20:502', unit: 1 } })
  expect(placed(' tcp://plc.local:5020 ', 'modbus', '7')).toEqual({ device: { address: 'tcp://plc.local:5020', unit: 7 } })
  expect(placed('/dev/ttyUSB0', 'modbus', '2', '9600 8E1, unit 1 as delivered')).toEqual({ device: { address: 'rtu://line', unit: 2 }, bus: { name: 'line', serial: '/dev/ttyUSB0', baud: 9600, parity: 'even' } })
  expect(placed('/dev/ttyUSB0', 'dlt645', '000012345678', '2400 8E1')).toEqual({ device: { address: 'bus://line', meter: '000012345678' }, bus: { name: 'line', serial: '/dev/ttyUSB0', baud: 2400, parity: 'even' } })
})

test('what is no address or no unit is none', () => {
  for (const [address, unit] of [['', '1'], ['a b', '1'], ['host:0', '1'], ['host:99999', '1'], ['host', '256'], ['host', 'x']] as const) expect(placed(address, 'modbus', unit), address + ' ' + unit).toBeUndefined()
  expect(placed('host', 'dlt645', '1')).toBeUndefined() // a meter has no usual port
})

test('the settings of a line are read from a profile’s words', () => {
  expect(settingsOf('19200 7O2')).toEqual({ baud: 19200, data_bits: 7, parity: 'odd', stop_bits: 2 })
  expect(settingsOf(undefined)).toEqual({})
})
