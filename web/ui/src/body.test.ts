import { expect, test } from 'vitest'

import { bytesOf, formsOf, hex, metricValue, pretty, readingOf } from './body'
import type { Message } from './messages'

const message = (body: Pick<Message, 'text' | 'binary'>): Message => ({
  position: 1, topic: 't', mqtt_topic: 't', queue: 0, offset: 0, stored: '2026-01-01T00:00:00Z', bytes: 1, retries: 0,
  born: '2026-01-01T00:00:00Z', properties: [], cut: false, track: [], ...body,
})

test('JSON is indented without a change to what it says', () => {
  const text = '{"id":12345678901234567890,"a":[1,{"b":"x, [y]: \\"z\\""}],"none":{},"empty":[ ]}'
  const shown = pretty(text)!
  expect(shown).toBe('{\n  "id": 12345678901234567890,\n  "a": [\n    1,\n    {\n      "b": "x, [y]: \\"z\\""\n    }\n  ],\n  "none": {},\n  "empty": []\n}')
  expect(JSON.parse(shown)).toEqual(JSON.parse(text))
})

test('words and numbers are text, not JSON', () => {
  for (const text of ['', 'hello', '42', '"x"', 'null', '{"a":']) expect(pretty(text)).toBeUndefined()
})

test('a reading is read with its values and errors', () => {
  const text = '{"gateway":"line-3","device":"press","epoch":1,"seq":42,"ts":1795345665221,"values":{"counter":7,"running":true},"errors":{"pressure":"exception 2"}}'
  expect(readingOf(text)).toEqual({
    gateway: 'line-3', device: 'press', epoch: 1, seq: 42, ts: 1795345665221,
    points: [{ name: 'counter', value: 7 }, { name: 'running', value: true }, { name: 'pressure', error: 'exception 2' }],
  })
  expect(formsOf(message({ text }))).toEqual(['reading', 'json', 'text', 'hex'])
  for (const other of ['{"gateway":"a","device":"b"}', '[]', '{"gateway":1,"device":"b","values":{}}', 'x']) expect(readingOf(other)).toBeUndefined()
})

test('Sparkplug is shown in words first, whatever its bytes look like', () => {
  const sparkplug = { kind: 'DDATA' as const, group: 'plant', node: 'line-3', device: 'press', metrics: [], count: 0 }
  expect(formsOf({ ...message({ binary: btoa('\x08\xff') }), sparkplug })).toEqual(['sparkplug', 'hex'])
  expect(formsOf({ ...message({ text: '\b\u0001' }), sparkplug })).toEqual(['sparkplug', 'text', 'hex'])
})

test('the value of a metric is shown with all its digits', () => {
  const words = { null: 'no value', bytes: (n: number) => `${n} B`, moment: (at: string) => 'on ' + at }
  expect(metricValue({ type: 'UInt64', value: '18446744073709551615' }, words)).toBe('18446744073709551615')
  expect(metricValue({ type: 'Double' }, words)).toBe('no value')
  expect(metricValue({ type: 'String', value: '' }, words)).toBe('')
  expect(metricValue({ type: 'DateTime', value: '2026-11-22T11:07:50.000Z' }, words)).toBe('on 2026-11-22T11:07:50.000Z')
  expect(metricValue({ type: 'DateTime', value: '18446744073709551615' }, words)).toBe('18446744073709551615')
  expect(metricValue({ type: 'Bytes', value: '00ff', bytes: 2 }, words)).toBe('00 ff (2 B)')
  expect(metricValue({ type: 'String', value: 'abc', bytes: 3000 }, words)).toBe('abc… (3000 B)')
})

test('bytes that are no text are shown as a table', () => {
  const bytes = message({ binary: btoa('\x00\xffAB' + 'c'.repeat(13)) })
  expect(formsOf(bytes)).toEqual(['hex'])
  expect(hex(bytesOf(bytes))).toBe('0000  00 ff 41 42 63 63 63 63 63 63 63 63 63 63 63 63  ··ABcccccccccccc\n0010  63                                               c')
  expect(hex(new Uint8Array(9000)).split('\n')).toHaveLength(513)
})
