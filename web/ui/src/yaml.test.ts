import { expect, test } from 'vitest'

import { together } from './yaml'

test('what was found on one line becomes one list of devices, and the line is there once', () => {
  const line = 'buses:\n  - {name: rs485-1, serial: /dev/ttyS1, baud: 9600}\n'
  const meter = 'devices:\n  - name: meter-17\n    profile: eastron-sdm630\n    address: bus://rs485-1\n    unit: 17\n'
  const water = 'devices:\n  # no profile fits\n  - name: water\n    driver: cjt188\n    points:\n      - {name: volume}\n'
  expect(together([line + meter, line + water])).toBe(
    line + meter + '  # no profile fits\n  - name: water\n    driver: cjt188\n    points:\n      - {name: volume}\n',
  )
})

test('lists within an entry stay in it', () => {
  const one = 'devices:\n- name: a\n  points:\n  - {name: x}\n  - {name: y}\n'
  const two = 'devices:\n- name: b\n  points:\n  - {name: x}\n'
  expect(together([one, two])).toBe('devices:\n- name: a\n  points:\n  - {name: x}\n  - {name: y}\n- name: b\n  points:\n  - {name: x}\n')
})

test('what is said above a list goes with its first entry', () => {
  const one = 'devices:\n  - {name: a}\n'
  const two = '# the bus x is set to 9600 8N1; this device needs baud: 2400\ndevices:\n  - {name: b}\n'
  expect(together([one, two])).toBe('devices:\n  - {name: a}\n  # the bus x is set to 9600 8N1; this device needs baud: 2400\n  - {name: b}\n')
})

test('no name is there twice', () => {
  const found = (baud: number, unit: number) =>
    `buses:\n  - {name: line, serial: "/dev/ttyUSB0", baud: ${baud}, parity: even}\ndevices:\n  - name: modbus-${unit}\n    address: "rtu://line"\n`
  expect(together([found(9600, 1), found(2400, 2), found(2400, 1).replace('rtu', 'ascii')])).toBe(
    'buses:\n  - {name: line, serial: "/dev/ttyUSB0", baud: 9600, parity: even}\n  # or: - {name: line, serial: "/dev/ttyUSB0", baud: 2400, parity: even}\n' +
      'devices:\n  - name: modbus-1\n    address: "rtu://line"\n  - name: modbus-2\n    address: "rtu://line"\n  - name: modbus-1-2\n    address: "ascii://line"\n',
  )
})

test('one text stays as it is, and nothing is nothing', () => {
  const one = 'devices:\n  - {name: a}\n'
  expect(together([one])).toBe(one)
  expect(together([one, one])).toBe(one)
  expect(together([])).toBe('')
  expect(together(['- {name: a}', '- {name: b}'])).toBe('- {name: a}\n- {name: b}\n')
})
