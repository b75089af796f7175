import { expect, test } from 'vitest'

import { format } from './format'

const words = { on: 'on', off: 'off' }
const en = format('en', words)
const zh = format('zh-CN', { on: '开', off: '关' })

test.each([
  [0, '0 sec'],
  [59_499, '59 sec'],
  [60_000, '1 min'],
  [130_000, '2 min 10 sec'],
  [7_500_000, '2 hr 5 min'],
  [3_600_000 + 20_000, '1 hr'],
  [90_000_000, '1 day 1 hr'],
  [-5, '0 sec'],
])('%d milliseconds are %s', (milliseconds, text) => expect(en.duration(milliseconds)).toBe(text))

test.each([
  [64.30000305175781, '64.3'], // a 32-bit float
  [18_422.613, '18,422.613'],
  [0.1 + 0.2, '0.3'],
  [120_455, '120,455'],
  [4_294_967_295, '4,294,967,295'],
  [7e-39, '7E-39'],
  [1.5e20, '1.5E20'],
  [0, '0'],
  [-3.25, '-3.25'],
  [true, 'on'],
  [false, 'off'],
  ['B-114', 'B-114'],
  [null, '–'],
])('the value %s reads %s', (value, text) => expect(en.value(value)).toBe(text))

test('a value keeps the decimals that it is asked for', () => expect(en.value(64, 1)).toBe('64.0'))

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1536, '1.5 KiB'],
  [512 * 2 ** 20, '512 MiB'],
])('%d bytes are %s', (bytes, text) => expect(en.bytes(bytes)).toBe(text))

test('Chinese has its own words', () => {
  expect(zh.duration(130_000)).toBe('2分钟 10秒')
  expect(zh.value(true)).toBe('开')
})
