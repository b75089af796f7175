import { expect, test } from 'vitest'

import { History } from './history'
import { sample } from './sample'

test('only the span is kept', () => {
  const history = new History(10)
  for (let at = 0; at <= 100; at++) history.add(sample(), at)
  expect(history.columns(['cloud'])[0]).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100])
})

test('a silence is a gap in the lines', () => {
  const history = new History()
  history.add(sample(), 10)
  history.add(sample(), 30)
  expect(history.columns(['cloud', 'gone'])).toEqual([
    [10, 11, 30],
    [20, null, 20],
    [20, null, 20],
    [null, null, null],
    [0, null, 0],
  ])
})

test('a clock that was set back starts anew', () => {
  const history = new History()
  history.add(sample(), 1000)
  history.add(sample(), 500)
  expect(history.columns([])[0]).toEqual([500])
})

test('the window grows from two minutes to the span', () => {
  const history = new History(600)
  history.add(sample(), 1000)
  expect(history.window(1010)).toEqual([890, 1010])
  expect(history.window(1300)).toEqual([1000, 1300])
  expect(history.window(9000)).toEqual([8400, 9000])
})
