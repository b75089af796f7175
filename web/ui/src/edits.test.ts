import { expect, test } from 'vitest'

import { editsOf } from './edits'

test('only what differs is edited', () => {
  const before = { name: 'cloud', driver: 'mqtt', address: 'tcp://a', tls: { ca: '/a', cert: '/b' }, forward: [{ from: 'x' }] }
  const after = { name: 'cloud', driver: 'mqtt', address: 'ssl://a', tls: { ca: '/a', key: '/c' }, forward: [{ from: 'x' }], window: 50 }
  expect(editsOf(['uplinks', 'cloud'], before, after)).toEqual([
    { path: ['uplinks', 'cloud', 'address'], value: 'ssl://a' },
    { path: ['uplinks', 'cloud', 'tls', 'cert'] },
    { path: ['uplinks', 'cloud', 'tls', 'key'], value: '/c' },
    { path: ['uplinks', 'cloud', 'window'], value: 50 },
  ])
  expect(editsOf([], before, before)).toEqual([])
})
