import { expect, test } from 'vitest'

import { busTone, duration, faultsOf, faultsOn, joined, kept, printable, spaced, type Bus, type BusDevice, type BusFrame } from './buses'

const bus = (more: Partial<Bus>): Bus => ({
  name: 'a', place: '/dev/ttyS1', open: true, busy: 0, waiting: 0, cycle_ms: 0, exchanges: 1, failures: 0, noise: 0, echo: false,
  hang_ups: 0, foreign_requests: 0, unasked_bytes: 0, flawed_characters: 0, bytes_in: 0, bytes_out: 0, devices: [], findings: [], findings_seconds: 60, ...more,
})

test('the lamp of a line', () => {
  const finding = { rule: 'x', evidence: { en: '', zh: '' }, cause: { en: '', zh: '' }, next: { en: '', zh: '' } }
  expect(busTone(bus({}))).toBe('good')
  expect(busTone(bus({ exchanges: 0, open: false }))).toBe('busy')
  expect(busTone(bus({ open: false }))).toBe('bad')
  expect(busTone(bus({ findings: [finding] }))).toBe('warn')
})

const device = (more: Partial<BusDevice>): BusDevice => ({
  name: 'a', exchanges: 1, answers: 0, no_reply: 0, garbled: 0, damaged: 0, wrong_unit: 0, unrelated: 0, other_dialect: 0, late: 0,
  refused: 0, values: 0, points: 0, timeout_ms: 0, timed: 0, fastest_ms: 0, mean_ms: 0, slowest_ms: 0, ...more,
})

test('a line shows the faults that it has', () => {
  expect(faultsOn(bus({ devices: [device({})] }))).toEqual([])
  expect(faultsOn(bus({ devices: [device({ late: 1 }), device({ wrong_unit: 1 })] }))).toEqual(['elsewhere', 'late'])
  expect(faultsOf(device({ garbled: 1, damaged: 2, wrong_unit: 3, unrelated: 4, other_dialect: 5, late: 6 }))).toEqual({
    garbled: 1, damaged: 2, elsewhere: 12, late: 6,
  })
})

test('what is too short to tell is not the same as none', () => {
  const int = (n: number) => n.toFixed(0)
  expect(duration(undefined, int)).toBe('–')
  expect(duration(0, int)).toBe('< 0.1 ms')
  expect(duration(4.25, int)).toBe('4.3 ms')
  expect(duration(1234.5, int)).toBe('1235 ms')
  expect(duration(39_172, int)).toBe('39 s')
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
