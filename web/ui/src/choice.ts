// What the form of a search for devices says: how it begins, what of it is sent, and what the search may take.

import { byUnit, type Offer } from './searches'

export interface Choice {
  where: string // line:NAME, port:PATH, other (a port that is typed) or network
  port: string // where other
  protocols: string[]
  settings: 'usual' | 'these' // of the line: those that each protocol mostly has, or what follows
  bauds: number[]
  parities: string[]
  units: string // on a line; empty: all
  network: string
  ports: string
  hosts: string // units behind each address of the network; empty: 1, 255 and 0 until one answers
}

export const parities = ['none', 'even', 'odd'] as const

const usual = {
  protocols: ['modbus-rtu', 'dlt645', 'cjt188'],
  bauds: [2400, 4800, 9600, 19200],
  parities: ['none', 'even'],
  units: '1-32',
  ports: '502',
}
const fallback = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]

// protocolsOf are those that are looked for on lines.
export const protocolsOf = (offer: Offer) => (offer.protocols ?? []).filter((p) => p.line !== false)

export const ratesOf = (offer: Offer) => (offer.bauds?.length ? offer.bauds : fallback)

// choiceOf reads the address of the page; what it does not say is as it is in most plants.
export function choiceOf(query: URLSearchParams, offer: Offer): Choice {
  const places = placesOf(offer)
  const list = (name: string) => query.get(name)?.split(',').filter(Boolean)
  const names = protocolsOf(offer).map((p) => p.name)
  const common = usual.protocols.filter((name) => names.includes(name))
  return {
    where: places.find((place) => place === query.get('where')) ?? places.find((place) => place !== 'other') ?? 'network',
    port: query.get('port') ?? '',
    protocols: list('protocols') ?? (common.length > 0 ? common : names),
    settings: query.has('bauds') ? 'these' : 'usual',
    bauds: list('bauds')?.map(Number) ?? usual.bauds.filter((baud) => ratesOf(offer).includes(baud)),
    parities: list('parities') ?? usual.parities,
    units: query.get('units') ?? (query.has('protocols') ? '' : usual.units),
    network: query.get('network') ?? offer.networks?.[0] ?? '',
    ports: query.get('ports') ?? usual.ports,
    hosts: query.get('hosts') ?? '',
  }
}

// placesOf are all values that the choice of a place has.
function placesOf(offer: Offer): string[] {
  return [...(offer.lines ?? []).map((l) => 'line:' + l.bus), ...(offer.serials ?? []).map((port) => 'port:' + port), 'other', 'network']
}

// queryOf writes what choiceOf reads.
export function queryOf(choice: Choice): Record<string, string> {
  if (choice.where === 'network') return { where: 'network', network: choice.network, ports: choice.ports, hosts: choice.hosts }
  const { where, protocols, units } = choice
  const port = where === 'other' ? choice.port : ''
  const these = choice.settings === 'these' ? { bauds: choice.bauds.join(','), parities: choice.parities.join(',') } : {}
  return { where, port, protocols: protocols.join(','), units, ...these }
}

// serial says whether the place has a rate and a parity of ours; those of a serial server are its own.
export function serial(choice: Choice, offer: Offer): boolean {
  if (choice.where === 'network') return false
  const line = offer.lines?.find((l) => 'line:' + l.bus === choice.where)
  return line === undefined || line.place.startsWith('/')
}

// Wanted is what the gateway is asked to do.
export type Wanted =
  | { kind: 'line'; bus?: string; serial?: string; protocols: string[]; bauds?: number[]; parities?: string[]; units?: string }
  | { kind: 'network'; network: string; ports: number[]; units?: string }

export function wantedOf(choice: Choice, offer: Offer): Wanted {
  if (choice.where === 'network') {
    return { kind: 'network', network: networkOf(choice), ports: numbersOf(choice.ports, 1, 65_535) ?? [], ...given(choice.hosts) }
  }
  const at = choice.where.slice(choice.where.indexOf(':') + 1)
  return {
    kind: 'line',
    ...(choice.where.startsWith('line:') ? { bus: at } : { serial: choice.where === 'other' ? choice.port.trim() : at }),
    protocols: choice.protocols,
    ...(chosen(choice, offer) ? { bauds: choice.bauds, parities: choice.parities } : {}),
    ...(asksUnits(choice) ? given(choice.units) : {}),
  }
}

const given = (units: string) => (tidy(units) === '' ? {} : { units: tidy(units) })

// chosen says whether the settings of the line are those of the form.
export function chosen(choice: Choice, offer: Offer): boolean {
  return choice.settings === 'these' && serial(choice, offer)
}

// networkOf makes a lone address a network of one.
function networkOf(choice: Choice): string {
  const network = choice.network.trim()
  return network.includes('/') ? network : network + '/32'
}

// tidy takes the commas and dashes of either language.
const tidy = (text: string) => text.replace(/\s*[-–~～]\s*/g, '-').replace(/[\s,，、;；]+/g, ',').replace(/^,|,$/g, '')

// asksUnits says whether one of the protocols goes through units; meters are called all at once.
export function asksUnits(choice: Choice): boolean {
  return choice.protocols.some((name) => byUnit(name))
}

// wrong names the field that cannot be sent as it is, by the key of its words in the language files.
export function wrong(choice: Choice, offer: Offer): 'port' | 'protocols' | 'bauds' | 'parities' | 'units' | 'network' | 'ports' | 'hosts' | undefined {
  if (choice.where === 'network') {
    if (addresses(choice.network) === undefined) return 'network'
    if (!numbersOf(choice.ports, 1, 65_535)) return 'ports'
    return tidy(choice.hosts) === '' || numbersOf(choice.hosts, 0, 255) ? undefined : 'hosts'
  }
  if (choice.where === 'other' && !choice.port.trim().startsWith('/')) return 'port'
  if (choice.protocols.length === 0) return 'protocols'
  if (chosen(choice, offer) && choice.bauds.length === 0) return 'bauds'
  if (chosen(choice, offer) && choice.parities.length === 0) return 'parities'
  return asksUnits(choice) && tidy(choice.units) !== '' && !numbersOf(choice.units, 1, 247) ? 'units' : undefined
}

// numbersOf reads "1-32, 100"; undefined: it is nothing of the kind, or out of bounds.
export function numbersOf(text: string, least: number, most: number): number[] | undefined {
  const numbers = new Set<number>()
  for (const part of tidy(text).split(',')) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? []
    const from = Number(first)
    const to = Number(last)
    if (first === undefined || from < least || to > most || from > to) return undefined
    for (let n = from; n <= to; n++) numbers.add(n)
  }
  return [...numbers]
}

const largest = 4096 // addresses of one search

// addresses counts those of a network such as 192.168.1.0/24; undefined: it is none, or too large.
export function addresses(network: string): number | undefined {
  const [, ip = '', bits = '32'] = /^(\d{1,3}(?:\.\d{1,3}){3})(?:\/(\d{1,2}))?$/.exec(network.trim()) ?? []
  const count = 2 ** (32 - Number(bits))
  if (ip === '' || Number(bits) > 32 || count > largest || ip.split('.').some((n) => Number(n) > 255)) return undefined
  return Math.max(1, count > 2 ? count - 2 : count)
}
