// How the machine is connected: what the gateway tells of it, and what a form makes of a connection.

import { call } from './api'
import type { Schemas } from './schemas'
import type { Tone } from './verdict'

export type NetworkState = Schemas['NetworkState']
export type NetworkDevice = Schemas['NetworkDevice']
export type Connection = Schemas['NetworkConnection']
export type AccessPoint = Schemas['NetworkAccessPoint']
export type Kind = 'ethernet' | 'wifi' | 'hotspot' | 'modem' | 'wireguard'

export const kinds: readonly Kind[] = ['ethernet', 'wifi', 'hotspot', 'modem', 'wireguard']

const patience = 60_000 // milliseconds: devices come up on the way

export const network = () => call<NetworkState>('GET', '/network')
export const applyNetwork = (connections: Connection[], etag: string) => call<Schemas['NetworkApplied']>('PUT', '/network', { connections }, patience, { 'If-Match': `"${etag}"` })
export const confirmNetwork = (id: string) => call<void>('POST', '/network/confirm', { id }, patience)
export const rollBackNetwork = () => call<void>('DELETE', '/network/pending', undefined, patience)
export const scan = (device: string) => call<{ items: AccessPoint[] }>('POST', '/network/scan', { interface: device }, patience)
export const factoryReset = (password: string) => call<{ started: string }>('POST', '/reset', { password }, patience)

const nothing = () => ({ method: 'disabled' as const, addresses: [], gateway: '', dns: [], never_default: false })

// fresh is a connection as a form begins with it.
export function fresh(kind: Kind, device: string, name: string): Connection {
  const connection: Connection = { id: '', name, kind, interface: device, auto: true, metric: null, ipv4: { ...nothing(), method: 'auto' }, ipv6: { ...nothing(), method: 'auto' } }
  if (kind === 'wifi' || kind === 'hotspot') connection.wifi = { ssid: '', hidden: false, security: 'wpa-psk', password: '' }
  if (kind === 'hotspot') {
    connection.ipv4.method = 'shared'
    connection.ipv6.method = 'disabled'
  }
  if (kind === 'modem') connection.modem = { apn: '', user: '', password: '', pin: '' }
  if (kind === 'wireguard') {
    connection.ipv4.method = 'manual'
    connection.ipv6.method = 'disabled'
    connection.wireguard = { private_key: '', public_key: '', port: 0, mtu: 0, peers: [{ public_key: '', preshared_key: '', endpoint: '', allowed_ips: [], keepalive: 25 }] }
  }
  return connection
}

// listOf reads addresses that were typed, between commas, spaces or lines.
export const listOf = (typed: string): string[] => typed.split(/[\s,;，；]+/).filter((word) => word !== '')

// replaced gives all connections with one in the place of the one with its identifier, or behind them.
export const replaced = (all: readonly Connection[], one: Connection): Connection[] => (one.id ? all.map((c) => (c.id === one.id ? one : c)) : [...all, one])

// fieldOf names the field of a form that a refusal is about: connections.2.ipv4.addresses.0 is ipv4.addresses.
export const fieldOf = (field: string | undefined): string =>
  (field ?? '')
    .split('.')
    .slice(2)
    .filter((step) => !/^\d+$/.test(step))
    .join('.')

// toneOf says how a device stands.
export function toneOf(device: NetworkDevice): Tone {
  if (device.reach?.state === 'bad') return 'bad'
  if (device.state === 'connected') return 'good'
  return device.state === 'failed' ? 'bad' : device.state === 'connecting' ? 'busy' : 'warn'
}

// kindsFor are the kinds of connections that there is a device for; a tunnel needs none.
export const kindsFor = (devices: readonly NetworkDevice[]): Kind[] =>
  kinds.filter((kind) => kind === 'wireguard' || devices.some((d) => d.kind === (kind === 'hotspot' ? 'wifi' : kind)))

// left is how many whole seconds there still are.
export const left = (until: string, now: number): number => Math.max(0, Math.ceil((Date.parse(until) - now) / 1000))
