import { expect, test } from 'vitest'

import { addressFrom, countFrom, pointLine, rowsOf, scaleTo, shownOf, startsOf, wordsFrom, type Registers } from './registers'

const read: Registers = {
  device: 'press', area: 'input', address: 30, words: ['43AF', '0000'],
  interpretations: [
    { at: 0, type: 'uint16', order: 'AB', value: 17327, text: '17327', registers: 1, plausible: false },
    { at: 0, type: 'float32', order: 'ABCD', value: 350, text: '350', registers: 2, plausible: true },
    { at: 0, type: 'float32', order: 'CDAB', value: 2.4e-41, text: '2.4e-41', registers: 2, plausible: false },
    { at: 0, type: 'uint8', byte: 'h', value: 67, text: '67', registers: 1, plausible: true },
    { at: 1, type: 'uint16', order: 'AB', value: 0, text: '0', registers: 1, plausible: true },
    { at: 0, type: 'string', order: 'AB', value: 'C', text: 'C', registers: 2, plausible: false },
  ],
}

test('addresses as people write them', () => {
  expect(addressFrom('31')).toEqual({ address: 31 })
  expect(addressFrom(' 0x1F ')).toEqual({ address: 31 })
  expect(addressFrom('Input:31')).toEqual({ area: 'input', address: 31 })
  expect(addressFrom('400032')).toEqual({ area: 'holding', address: 31 })
  expect(addressFrom('300001')).toEqual({ area: 'input', address: 0 })
  expect(addressFrom('465536')).toEqual({ area: 'holding', address: 65535 })
  expect(addressFrom('40032')).toEqual({ address: 40032 }) // some devices have registers there
  for (const wrong of ['', '-1', '65536', '400000', '465537', '999999', 'coil:1', '0x', '0x12345', '1.5', 'holding:400001']) expect(addressFrom(wrong), wrong).toBeUndefined()
})

test('counts that one request can read', () => {
  expect(countFrom('125')).toBe(125)
  expect(countFrom(1)).toBe(1)
  for (const wrong of ['0', '126', '', '2.5', 'two']) expect(countFrom(wrong), wrong).toBeUndefined()
})

test('registers as people paste them', () => {
  for (const text of ['43AF 0000', '43 af 00 00', '0x43AF,0x0000', '43af0000', '[0x43AF, 0x0]', '43-AF-00-00', '43 AF 0 0', '43AF 00 00']) {
    expect(wordsFrom(text), text).toEqual(['43AF', '0000'])
  }
  for (const wrong of ['', '43AF 3AF', '43 AF 00', 'watts', '43AF 000', '17327', '00 '.repeat(252)]) expect(wordsFrom(wrong), wrong).toBeUndefined()
  expect(wordsFrom('00 '.repeat(250))).toHaveLength(125)
})

test('meanings stand under their types, by the register from which they begin', () => {
  expect(startsOf(read)).toEqual([0, 1])
  expect(rowsOf(read, 0).map((row) => [row.type, row.cells.map((cell) => cell.order ?? cell.byte)])).toEqual([
    ['uint16', ['AB']],
    ['float32', ['ABCD', 'CDAB']],
    ['uint8', ['h']],
    ['string', ['AB']],
  ])
  expect(rowsOf(read, 1)).toHaveLength(1)
  expect(rowsOf(read, 2)).toEqual([])
})

test('a float is shown without the digits that it does not have', () => {
  const float = read.interpretations[1]!
  expect(shownOf({ ...float, value: 230.39999389648438, text: '230.39999389648438' })).toBe('230.4')
  expect(shownOf({ ...float, value: null, text: 'NaN' })).toBe('NaN')
  expect(shownOf({ ...float, type: 'uint64', value: 18446744073709552000, text: '18446744073709551615' })).toBe('18446744073709551615')
})

test('what the display says is found, with the scale that it takes', () => {
  expect(scaleTo(350, '350')).toBe(1)
  expect(scaleTo(2304, '230.4')).toBe(0.1)
  expect(scaleTo(2304, '230,4')).toBe(0.1)
  expect(scaleTo(2304, '230')).toBe(0.1) // rounded by the display
  expect(scaleTo(-125, '-12.5')).toBe(0.1)
  expect(scaleTo(1.5, '1500')).toBe(1000)
  expect(scaleTo('18446744073709551615', '18446744073709551615')).toBe(1)
  expect(scaleTo('2304', '23.04')).toBe(0.01)
  expect(scaleTo('AB', 'AB')).toBe(1)
  expect(scaleTo(0, '0')).toBe(1)
  for (const [value, display] of [[2305, '230.4'], [0, '1'], [4400, '4'], [350, ''], [350, 'x'], [null, '1'], [true, '1'], ['', '0'], [1e-41, '0']] as const) {
    expect(scaleTo(value, display), `${value} ${display}`).toBeUndefined()
  }
})

test('a meaning becomes a point of the configuration', () => {
  const [word, float, , high, second, text] = read.interpretations
  expect(pointLine(read, float!)).toBe('- {name: point, address: "input:30", type: float32, order: ABCD}')
  expect(pointLine(read, word!, 0.1)).toBe('- {name: point, address: "input:30", type: uint16, order: AB, scale: 0.1}')
  expect(pointLine(read, high!)).toBe('- {name: point, address: "input:30.h", type: uint8}')
  expect(pointLine(read, second!)).toBe('- {name: point, address: "input:31", type: uint16, order: AB}')
  expect(pointLine(read, text!)).toBe('- {name: point, address: "input:30", type: string, order: AB, length: 4}')
  // What was pasted has no place.
  expect(pointLine({ address: 0, words: [], interpretations: [] }, word!)).toBe('- {name: point, address: "holding:0", type: uint16, order: AB}')
})
