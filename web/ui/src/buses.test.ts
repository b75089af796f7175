import { expect, test } from 'vitest'

import { busTone, joined, kept, printable, spaced, type Bus, type BusFrame } from './buses'

const bus = (more: Partial<Bus>): Bus => ({
  name: 'a', place: '/dev/ttyS1', open: true, busy: 0, waiting: 0, cycle_ms: 0, exchanges: 1, failures: 0, noise: 0, echo: false,
  bytes_in: 0, bytes_out: 0, devices: [], findings: [], findings_seconds: 60, ...more,
})

test('the lamp of a line', () => {
  const finding = { rule: 'x', evidence: { en: '', zh: '' }, cause: { en: '', zh: '' }, next: { en: '', zh: '' } }
  expect(busTone(bus({}))).toBe('good')
  expect(busTone(bus({ exchanges: 0, open: false }))).toBe('busy')
  expect(busTone(bus({ open: false }))).toBe('bad')
  expect(busTone(bus({ findings: [finding] }))).toBe('warn')
})

test('bytes as people read them', () => {
  expect(spaced('01830a')).toBe('01 83 0A')
  expect(printable('2f3f210d0a')).toBe('/?!··')
  expect(printable('01830a')).toBeUndefined()
  expect(printable('4142')).toBeUndefined()
})

test('frames are joined, bounded, and take their verdicts', () => {
  const frame = (seq: number, verdict?: string): BusFrame => ({ seq, at: '', out: false, hex: '', ...(verdict ? { verdict } : {}) })
  const first = joined([], [frame(1), frame(2)])
  expect(joined(first, [])).toBe(first)
  expect(joined(first, [frame(2, 'late'), frame(3)]).map((f) => f.verdict ?? f.seq)).toEqual([1, 'late', 3])
  expect(joined(first, Array.from({ length: kept }, (_, i) => frame(i + 3)))).toHaveLength(kept)
})
