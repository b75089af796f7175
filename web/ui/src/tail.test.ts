import { expect, test } from 'vitest'

import { filtersOf, grown, keptMessages, nothing, previewOf, tailAddress, valid, type TailItem } from './tail'

const item = (position: number) => ({ position }) as TailItem

test('the newest messages stay, the others are counted', () => {
  let tail = nothing
  for (let i = 0; i < 100; i++) tail = grown(tail, { items: Array.from({ length: 12 }, (_, n) => item(i * 12 + n)), hidden: 3, unread: i === 50 ? 7 : 0 })
  expect(tail.items).toHaveLength(keptMessages)
  expect(tail.items[0]!.position).toBe(1199)
  expect(tail.items[1]!.position).toBe(1198)
  expect([tail.came, tail.hidden, tail.unread]).toEqual([1500, 300, 7])
  expect(grown(tail, { items: [], hidden: 0, unread: 0 }).items).toBe(tail.items)
})

test('filters are as MQTT has them', () => {
  expect(filtersOf(' readings/#, a/+，b ')).toEqual(['readings/#', 'a/+', 'b'])
  for (const filter of ['#', '+', 'a/#', '+/+', '/', '$SYS/#', '设备/一']) expect(valid(filter)).toBe(true)
  for (const filter of ['', 'a#', '#/a', 'a/b+']) expect(valid(filter)).toBe(false)
  expect(tailAddress(['a/#', 'b&c'])).toBe('/api/v1/messages/tail?filter=a%2F%23&filter=b%26c')
  expect(tailAddress([])).toBe('/api/v1/messages/tail')
})

test('of a reading the values are shown', () => {
  expect(previewOf('{"gateway":"g","device":"d","ts":1,"values":{"a":1}}')).toBe('{"a":1}')
  expect(previewOf('{"gateway":"g","device":"d","epoch":17')).toBe('{"gateway":"g","device":"d","epoch":17')
  expect(previewOf('{"values":{}}')).toBe('{"values":{}}')
})
