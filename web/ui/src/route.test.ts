import { expect, test } from 'vitest'

import { addressOf, placeOf } from './route'

test('an address leads to the place that it was made for', () => {
  for (const name of ['orders', '%RETRY%billing', 'a/b?c#d', '']) {
    const place = placeOf(addressOf('topics', name, { from: 'x&y', to: '' }))
    expect([place.view, place.name, place.query.get('from'), place.query.get('to')]).toEqual(['topics', name, 'x&y', null])
  }
})

test('what is unknown is the overview', () => {
  for (const hash of ['', '#', '#/', '#/elsewhere', '#/%E0%A4%A']) expect(placeOf(hash).view).toBe('overview')
  expect(placeOf('#/topics/%E0%A4%A').name).toBe('%E0%A4%A')
})
