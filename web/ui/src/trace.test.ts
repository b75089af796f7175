import { expect, it } from 'vitest'

import type { Device } from './status'
import { lineOf, Traces } from './trace'

const polled = (polls: number, value: number | string, error = '') => ({ polls, points: [{ name: 'a', value, ...(error ? { error } : {}) }] }) as unknown as Device

it('a trace takes each poll once, and numbers only', () => {
  const traces = new Traces()
  for (const device of [polled(1, 5), polled(1, 5), polled(2, 6), polled(3, 'x'), polled(4, 7, 'no answer')]) traces.add(device)
  expect(traces.of('a')).toEqual([5, 6])
  for (let i = 5; i < 300; i++) traces.add(polled(i, i))
  expect([traces.of('a').length, traces.of('a').at(-1)]).toEqual([120, 299])
})

it('a line begins where its first value is and is flat where nothing changes', () => {
  expect(lineOf([1], 119, 20)).toBe('')
  expect(lineOf([0, 10], 119, 20)).toBe('118.0,20.0 119.0,0.0')
  expect(lineOf([3, 3], 119, 20)).toBe('118.0,10.0 119.0,10.0')
})
