import { expect, test } from 'vitest'

import { details, joined, localTime, percent, wear, zoneText, type LogRecord } from './system'

const record = (number: number): LogRecord => ({ number, time: '', level: 'info', part: '', text: '', attrs: [] })

test('a share of nothing is nothing', () => {
  expect(percent(50, 200)).toBe(25)
  expect(percent(300, 200)).toBe(100)
  expect(percent(null, 200)).toBeUndefined()
  expect(percent(1, 0)).toBeUndefined()
  expect(percent(1, null)).toBeUndefined()
})

test('wear by the flash memory’s own account', () => {
  const flash = (used_percent: number | null, spare: 'normal' | 'warning' | 'urgent' | null) => ({ device: 'mmcblk0', name: 'x', used_percent, spare })
  expect(wear(null).word).toBe('unknown')
  expect(wear(flash(null, null)).word).toBe('unknown')
  expect(wear(flash(20, 'normal')).word).toBe('good')
  expect(wear(flash(null, 'normal')).word).toBe('good')
  expect(wear(flash(80, 'normal')).word).toBe('worn')
  expect(wear(flash(10, 'warning')).word).toBe('worn')
  expect(wear(flash(110, null)).word).toBe('end')
  expect(wear(flash(10, 'urgent')).word).toBe('end')
})

test('the gateway’s own clock is shown, not the browser’s', () => {
  expect(localTime('2026-11-23T20:15:01.123+08:00')).toBe('2026-11-23 20:15:01')
  expect(zoneText('2026-11-23T20:15:01.123+08:00')).toBe('UTC+08:00')
  expect(zoneText('2026-11-23T20:15:01Z')).toBe('UTC')
})

test('records come together in order, each once', () => {
  expect(joined([record(5), record(4)], [record(4), record(3)]).map((r) => r.number)).toEqual([5, 4, 3])
  expect(joined([record(7), record(9)], []).map((r) => r.number)).toEqual([9, 7])
  expect(joined(Array.from({ length: 1500 }, (_, i) => record(i)), [])).toHaveLength(1000)
})

test('details are one line', () => {
  expect(details({ ...record(1), attrs: [{ key: 'bus', value: 'rs1' }, { key: 'err', value: 'no such "device"' }, { key: 'x', value: '' }] }, (text) => text.replace('no such', '没有'))).toBe('bus=rs1 err="没有 \\"device\\"" x=""')
})
