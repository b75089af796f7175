import { expect, test } from 'vitest'

import { few, sinceOf, spanOf, textOf, totalsOf, type Plan, type PlannedRequest } from './plan'

const request = (more: Partial<PlannedRequest>): PlannedRequest => ({ area: 'holding', function: 3, address: 0, count: 1, points: [], ...more })

test('the addresses of a request', () => {
  expect(spanOf(request({ address: 7 }))).toBe('7')
  expect(spanOf(request({ address: 7, count: 34 }))).toBe('7–40')
})

test('a plan is counted, and a point of two requests once', () => {
  const plan: Plan = { device: 'press', requests: [request({ points: ['a', 'b'], unwanted: 3 }), request({ points: ['b', 'c'] })] }
  expect(totalsOf(plan)).toEqual({ requests: 2, points: 3, unwanted: 3 })
})

test('many names are cut, one more is not', () => {
  expect(few(['a', 'b', 'c'], 2)).toEqual({ names: 'a, b, c', more: 0 })
  expect(few(['a', 'b', 'c', 'd'], 2)).toEqual({ names: 'a, b', more: 2 })
})

test('what was learned, with and without the time', () => {
  expect(textOf('x')).toBe('x')
  expect(textOf({ en: 'x', zh: 'y' })).toEqual({ en: 'x', zh: 'y' })
  expect(textOf({ text: 'x', since: 's' })).toBe('x')
  expect(sinceOf({ text: 'x', since: 's' })).toBe('s')
  expect(sinceOf('x')).toBeUndefined()
})
