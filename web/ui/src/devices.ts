// Devices: trying them out, writing to them, and the list of them.

import { call } from './api'
import type { Schemas } from './schemas'
import type { Device, Scalar, Status } from './status'

export type Trial = Schemas['Trial']
export type TriedPoint = Schemas['TriedPoint']
export type Written = Schemas['Written']
export type Lamps = Schemas['Lamps']
export type Section = Record<string, unknown>

const turn = 45_000 // milliseconds: the gateway gives a device 30 seconds

export const tryDevice = (device: Section, bus?: Section) => call<Trial>('POST', '/devices/try', { device, ...(bus ? { bus } : {}) }, turn)
export const writeDevice = (device: string, values: Record<string, Scalar>) => call<Written>('POST', '/devices/write', { device, values }, turn)

// The lamps in the order in which a value passes them.
export const lampNames = ['port', 'frames', 'values'] as const

export const orders = ['configured', 'name', 'trouble', 'interval', 'points'] as const
export type Order = (typeof orders)[number]

export const states = ['all', 'trouble', 'online', 'degraded', 'offline', 'starting', 'paused'] as const
export type Wanted = (typeof states)[number]

// whereOf says how a device is reached. What has no address, as a simulated one, is named once.
export const whereOf = (device: Device): string => (device.address && device.address !== device.driver ? `${device.driver} · ${device.address}` : device.driver)

const gravity: Record<Device['state'], number> = { offline: 0, paused: 1, degraded: 2, starting: 3, online: 4 }

// listed gives the devices in which every word of a search occurs and that are in a state, in an order.
export function listed(status: Status, search: string, wanted: Wanted, order: Order): Device[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const found = status.devices.filter((device) => {
    if (wanted === 'trouble' ? device.state === 'online' : wanted !== 'all' && device.state !== wanted) return false
    const text = [device.name, device.driver, device.address, device.line ?? '', device.last_error ?? ''].join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  })
  switch (order) {
    case 'name':
      return found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))
    case 'trouble':
      return found.sort((a, b) => gravity[a.state] - gravity[b.state])
    case 'interval':
      return found.sort((a, b) => a.interval_ms - b.interval_ms)
    case 'points':
      return found.sort((a, b) => b.points_total - a.points_total)
  }
  return found
}

// scalarOf reads what somebody typed as a value to write: a number, true or false, else text. What the point
// holds now decides where both could be meant.
export function scalarOf(text: string, now: Scalar): Scalar {
  const plain = text.trim()
  if (typeof now === 'string') return plain
  if (/^(true|on|false|off)$/i.test(plain)) return /^(true|on)$/i.test(plain)
  const number = Number(plain)
  if (typeof now === 'boolean' && (plain === '0' || plain === '1')) return plain === '1'
  return plain !== '' && Number.isFinite(number) ? number : plain
}

// freeName finds a name that no device has: press, press-2, press-3.
export function freeName(wanted: string, taken: string[]): string {
  if (!taken.includes(wanted)) return wanted
  const [, stem = wanted, number = '1'] = /^(.*?)-?(\d+)$/.exec(wanted) ?? []
  for (let n = Number(number) + 1; ; n++) {
    const name = `${stem}-${n}`
    if (!taken.includes(name)) return name
  }
}

// How each driver calls a line of the configuration, and a connection of its own. What is not here is asked
// for by its own keys.
const schemes: Record<string, { line?: string; tcp?: string }> = {
  modbus: { line: 'rtu://', tcp: 'tcp://' },
  dlt645: { line: 'bus://', tcp: 'tcp://' },
  'dlt645-1997': { line: 'bus://', tcp: 'tcp://' },
  cjt188: { line: 'bus://', tcp: 'tcp://' },
  mbus: { line: 'bus://', tcp: 'tcp://' },
  iec62056: { line: 'bus://', tcp: 'tcp://' },
  sml: { line: 'bus://', tcp: 'tcp://' },
  custom: { line: 'bus://', tcp: 'tcp://' },
}

// places lists where a device of a driver may be: tcp, bus:NAME of the configuration, serial:PORT that no
// line has.
export function places(offer: { lines?: { bus: string }[]; serials?: string[] } | undefined, driver: string): string[] {
  const known = schemes[driver]
  if (!known) return []
  const lines = [...(offer?.lines ?? []).map((one) => 'bus:' + one.bus), ...(offer?.serials ?? []).map((port) => 'serial:' + port)]
  return [...(known.tcp ? ['tcp'] : []), ...(known.line ? lines : [])]
}

// lineName names the line of a port that has none yet: /dev/ttyS1 is ttys1.
const lineName = (port: string) => (port.split('/').at(-1) ?? port).toLowerCase().replace(/[^a-z0-9-]+/g, '-')

// addressFor writes the address of a device; undefined for a driver without one.
export function addressFor(driver: string, where: string, host: string): string | undefined {
  const known = schemes[driver]
  if (!known) return undefined
  if (where === 'tcp') return host.includes('://') ? host.trim() : (known.tcp ?? '') + host.trim()
  const name = where.startsWith('serial:') ? lineName(where.slice('serial:'.length)) : where.slice('bus:'.length)
  return (known.line ?? '') + name
}

// lineOf is the section of a line for a port that has none yet; undefined: none is needed.
export function lineOf(where: string, baud: string, parity: string, there: Section[]): Section | undefined {
  if (!where.startsWith('serial:')) return undefined
  const port = where.slice('serial:'.length)
  if (there.some((one) => one['serial'] === port)) return undefined
  return { name: lineName(port), serial: port, baud: Number(baud), ...(parity === 'none' ? {} : { parity }) }
}

export const isNumbered = (key: string): boolean => key === 'unit'

// bare gives a device of a driver its first point where it has none, since a device without any cannot be.
export function bare(driver: string, points: unknown[]): Section {
  if (points.length > 0) return { points }
  return driver === 'modbus' ? { points: [{ name: 'first', address: 'holding:0' }] } : {}
}
