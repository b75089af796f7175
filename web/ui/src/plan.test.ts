import { expect, test } from 'vitest'

import { few, numberedOf, spanOf, totalsOf, type Plan, type PlanRequest } from './plan'

const request = (more: Partial<PlanRequest>): PlanRequest => ({ group: '', area: 'holding', function: 3, address: 0, count: 1, points: [], unwanted: 0, ...more })

test('the addresses of a request, as on the wire and as in manuals', () => {
  expect(spanOf(request({ address: 7 }))).toBe('7')
  expect(spanOf(request({ address: 7, count: 34 }))).toBe('7–40')
  expect(numberedOf(request({ address: 0 }))).toBe('40001')
  expect(numberedOf(request({ area: 'input', address: 9998 }))).toBe('39999')
  expect(numberedOf(request({ area: 'coil', address: 9999 }))).toBe('010000')
  expect(numberedOf(request({ area: 'discrete', address: 65535 }))).toBe('165536')
})

test('a plan is counted, and a point of two requests once', () => {
  const plan: Plan = { device: 'press', summary: '', learned: [], groups: [], requests: [request({ points: ['a', 'b'], unwanted: 3 }), request({ points: ['b', 'c'] })] }
  expect(totalsOf(plan)).toEqual({ requests: 2, points: 3, unwanted: 3 })
})

test('many names are cut, one more is not', () => {
  expect(few(['a', 'b', 'c'], 2)).toEqual({ names: 'a, b, c', more: 0 })
  expect(few(['a', 'b', 'c', 'd'], 2)).toEqual({ names: 'a, b', more: 2 })
})
