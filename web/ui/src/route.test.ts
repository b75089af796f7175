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

test('a search keeps what its form said', () => {
  const place = placeOf(addressOf('find', 's3', { where: 'port:/dev/ttyUSB0', units: '1-32,100' }))
  expect([place.view, place.name, place.query.get('where'), place.query.get('units')]).toEqual(['find', 's3', 'port:/dev/ttyUSB0', '1-32,100'])
})
