import { expect, test } from 'vitest'

import { batchOf, pathOf } from './sparks'
import type { Series } from './trends'

const at = (n: number, span = 1000) => ({ point: { device: 'd', point: String(n) }, span })

test('what can be asked for together is', () => {
  const list = [at(0), at(0), at(1, 5000), ...Array.from({ length: 10 }, (_, n) => at(n + 2))]
  const batch = batchOf(list)
  expect(batch).toHaveLength(9) // eight points, one of them twice
  expect(batch.every((one) => one.span === 1000)).toBe(true)
})

test('a hole lifts the pen, a flat line has a place', () => {
  const series = { t: [0, 50, 75, 100], v: [0, 10, null, 5], min: 0, max: 10, steps: false } as Series
  expect(pathOf(series, 0, 100, 100, 20)).toBe('M0.0 20.0L50.0 0.0M100.0 10.0')
  expect(pathOf({ ...series, steps: true }, 0, 100, 100, 20)).toBe('M0.0 20.0L50.0 20.0L50.0 0.0M100.0 10.0')
  expect(pathOf({ ...series, v: [3, 3, 3, 3], min: 3, max: 3 }, 0, 100, 100, 20)).toContain('M0.0 10.0')
})
