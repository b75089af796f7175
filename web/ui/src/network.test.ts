import { expect, test } from 'vitest'

import { fieldOf, fresh, kindsFor, left, listOf, replaced, toneOf, type NetworkDevice } from './network'

const device = (kind: string, state = 'connected', reach: string | null = null): NetworkDevice =>
  ({ interface: kind + '0', kind, state, reach: reach ? { state: reach } : null }) as unknown as NetworkDevice

test('a form begins with what its kind needs', () => {
  expect(fresh('hotspot', 'wlan0', 'a')).toMatchObject({ ipv4: { method: 'shared' }, wifi: { security: 'wpa-psk' } })
  expect(fresh('wireguard', 'wg0', 'a').wireguard?.peers).toHaveLength(1)
  expect(fresh('ethernet', '', 'a')).not.toHaveProperty('wifi')
  expect(fresh('modem', '', 'a').modem).toEqual({ apn: '', user: '', password: '', pin: '' })
})

test('addresses are read as people type them', () => {
  expect(listOf(' 10.0.0.1/24, 10.0.1.1/24\n10.0.2.1/24，fd00::1/64 ')).toEqual(['10.0.0.1/24', '10.0.1.1/24', '10.0.2.1/24', 'fd00::1/64'])
  expect(listOf(' ')).toEqual([])
})

test('a connection takes the place of the one that it was', () => {
  const one = { ...fresh('ethernet', '', 'one'), id: '1' }
  const two = { ...fresh('ethernet', '', 'two'), id: '2' }
  expect(replaced([one, two], { ...one, name: 'other' }).map((c) => c.name)).toEqual(['other', 'two'])
  expect(replaced([one], fresh('modem', '', 'new')).map((c) => c.name)).toEqual(['one', 'new'])
})

test('a refusal finds its field', () => {
  expect(fieldOf('connections.2.ipv4.addresses.0')).toBe('ipv4.addresses')
  expect(fieldOf('connections.0.wireguard.peers.1.endpoint')).toBe('wireguard.peers.endpoint')
  expect(fieldOf(undefined)).toBe('')
})

test('a way that leads nowhere is bad, whatever its cable says', () => {
  expect(toneOf(device('ethernet', 'connected', 'bad'))).toBe('bad')
  expect(toneOf(device('ethernet', 'connected', 'good'))).toBe('good')
  expect(toneOf(device('wifi', 'disconnected'))).toBe('warn')
})

test('only what there is hardware for is offered', () => {
  expect(kindsFor([device('ethernet')])).toEqual(['ethernet', 'wireguard'])
  expect(kindsFor([device('wifi'), device('modem')])).toEqual(['wifi', 'hotspot', 'modem', 'wireguard'])
})

test('seconds do not go below nothing', () => {
  expect(left('2026-01-01T00:00:10Z', Date.parse('2026-01-01T00:00:00.500Z'))).toBe(10)
  expect(left('2026-01-01T00:00:10Z', Date.parse('2026-01-01T00:01:00Z'))).toBe(0)
})
