import { expect, test } from 'vitest'

import { aligned, alone, axesOf, choiceOf, exportAddress, joined, lastValue, match, moved, offered, queryOf, ticks, valueAt, zoomed, type Choice, type Series } from './trends'

const series = (t: number[], v: (number | null)[], more: Partial<Series> = {}): Series => {
  const numbers = v.filter((n) => n !== null)
  const mean = numbers.length ? numbers.reduce((a, b) => a + b, 0) / numbers.length : null
  return {
    device: 'd', point: 'p', unit: '', steps: false, t, v, count: numbers.length, errors: 0, texts: 0, mean,
    min: numbers.length ? Math.min(...numbers) : null, max: numbers.length ? Math.max(...numbers) : null, ...more,
  }
}

test('an address leads to the choice that it was made for', () => {
  const choices: Choice[] = [
    { points: [{ device: 'press', point: 'a/b, c%' }, { device: '压机', point: '温度' }], range: '8h' },
    { points: [{ device: 'a', point: 'b' }], range: '1h', own: { from: 1_700_000_000_000, to: 1_700_000_001_000 } },
    { points: [], range: '30d' },
  ]
  for (const choice of choices) {
    const address = new URLSearchParams(queryOf(choice)).toString()
    expect(choiceOf(new URLSearchParams(address))).toEqual(choice)
  }
})

test('an address that somebody wrote by hand does no harm', () => {
  const odd = new URLSearchParams({ p: 'a/b,a/b,/x,y/,%zz/q,1/1,2/2,3/3,4/4,5/5,6/6,7/7,8/8,9/9', range: 'toString', from: 'x', to: '2026-01-01' })
  const choice = choiceOf(odd)
  expect(choice.points).toHaveLength(8)
  expect(choice.range).toBe('1h')
  expect(choice.own).toBeUndefined()
})

test('the address of a table names points twice encoded', () => {
  const address = exportAddress([{ device: 'd', point: 'a/b' }], { from: 0, to: 1000 }, 'long', 'Asia/Shanghai')
  expect(new URLSearchParams(address.split('?')[1]).getAll('point')).toEqual(['d/a%2Fb'])
})

test('pieces of a course become one', () => {
  const whole = joined(series([1, 2], [10, null]), series([3, 4, 5], [30, 50, 20]))
  expect(whole.t).toEqual([1, 2, 3, 4, 5])
  expect([whole.min, whole.max, whole.mean, whole.count]).toEqual([10, 50, 27.5, 4])
  const late = joined(series([1, 5], [1, 5]), series([3, 5], [3, 6]))
  expect([late.t, late.v]).toEqual([[1, 3, 5], [1, 3, 5]])
  const empty = joined(series([], []), series([], []))
  expect([empty.min, empty.mean]).toEqual([null, null])
})

test('courses share one list of times', () => {
  expect(aligned([series([1000, 3000], [1, null]), series([1000, 2000], [5, 6])])).toEqual([[1, 2, 3], [1, undefined, null], [5, 6, undefined]])
  expect(aligned([])).toEqual([[]])
})

test('the cursor tells what is there', () => {
  const s = series([1000, 2000, 3000, 9000], [1, 2, null, 9])
  expect(valueAt(s, 2100, 500)).toBe(2)
  expect(valueAt(s, 3000, 500)).toBeUndefined()
  expect(valueAt(s, 6000, 500)).toBeUndefined()
  expect(valueAt(s, 0, 100)).toBeUndefined()
  const held = series([1000, 5000], [1, null], { steps: true })
  expect(valueAt(held, 4000, 1)).toBe(1)
  expect(valueAt(held, 6000, 1)).toBeUndefined()
  expect(valueAt(held, 500, 1)).toBeUndefined()
  expect(lastValue(s)).toBe(9)
  expect(lastValue(held)).toBe(1)
})

test('a value without a neighbour is a dot', () => {
  expect(alone([1, null, 2, undefined, null, 3, 4, null, undefined, 5])).toEqual([0, 2, 9])
})

test('zooming keeps the moment under the pointer', () => {
  const span = { from: 10_000, to: 20_000 }
  expect(zoomed(span, 12_500, 0.5)).toEqual({ from: 11_250, to: 16_250 })
  expect(zoomed(span, 12_500, 1e-9).to - zoomed(span, 12_500, 1e-9).from).toBe(1000)
  expect(zoomed(span, 12_500, 1e12).to - zoomed(span, 12_500, 1e12).from).toBeLessThanOrEqual(400 * 86_400_000)
  expect(moved(span, 0.5, 100_000)).toEqual({ from: 15_000, to: 25_000 })
  expect(moved(span, 0.5, 20_000)).toEqual(span)
  expect(moved(span, -0.5, 20_000)).toEqual({ from: 5000, to: 15_000 })
})

test('a unit has an axis', () => {
  expect(axesOf([{ unit: '°C' }, { unit: 'bar' }, { unit: '°C' }, { unit: '' }])).toEqual([
    { unit: '°C', series: [0, 2], right: false },
    { unit: 'bar', series: [1], right: true },
    { unit: '', series: [3], right: false },
  ])
})

test('times are written as fine as they are apart', () => {
  const at = new Date(2026, 10, 23, 23, 30).getTime() / 1000
  expect(ticks([at, at + 1800], 1800, 'en')).toEqual(['23:30\nNov 23', '00:00\nNov 24'])
  expect(ticks([at, at + 5], 5, 'en')[1]).toBe('23:30:05')
  expect(ticks([at], 86_400, 'zh-CN')).toEqual(['11月23日'])
  expect(ticks([at + 0.25], 0.25, 'en')[0]).toContain('23:30:00.250')
})

test('points are found among thousands by any of their words', () => {
  const all = offered(Array.from({ length: 100 }, (_, d) => ({ name: `device-${d}`, points: Array.from({ length: 50 }, (_, p) => ({ name: `Point ${p}`, unit: '°C' })) })))
  expect(all).toHaveLength(5000)
  const { found, total } = match(all, 'point 7 DEVICE-42', 20)
  expect(total).toBe(5)
  expect(found.every((p) => p.device === 'device-42')).toBe(true)
  expect(match(all, '', 20)).toMatchObject({ total: 5000 })
})
