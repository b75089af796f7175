// The first run: what the gateway keeps of it, and what of it is decided without asking the gateway.

import { call } from './api'
import type { Schemas } from './schemas'
import type { Status } from './status'

export type Checklist = Schemas['Checklist']
export type Time = Schemas['Time']
export type StepName = (typeof steps)[number]

// steps in their order; each is a screen.
export const steps = ['password', 'time', 'device', 'uplink', 'start'] as const

// Section is a part of the configuration, as it will stand there.
export type Section = Record<string, unknown>

// Draft is what was chosen and does not run yet. It holds no secrets: those are stored when they are typed.
export interface Draft {
  devices: Section[]
  buses: Section[]
  uplink?: Section
}

export type Try = Schemas['Trial']
export type Recognised = Schemas['Recognised']
export type Outage = Schemas['Outage']
export type TraceStep = Schemas['TraceStep']

const long = 30_000 // milliseconds: a device has its turn on a slow line

export const setupState = () => call<Schemas['SetupState']>('GET', '/setup')
export const keep = (change: { done?: StepName[]; skipped?: StepName[]; dismissed?: boolean; draft?: Draft | null }) => call<Checklist>('PUT', '/setup/checklist', change)
export const changePassword = (old: string, next: string) => call('PUT', '/session/password', { old, new: next })
export const clock = () => call<Time>('GET', '/time')
export const setClock = (change: { now?: string; zone?: string }) => call<Time>('PUT', '/time', change)
export const tryDevice = (device: Section, bus: Section | undefined) => call<Try>('POST', '/devices/try', { device, ...(bus ? { bus } : {}) }, long)
export const recognise = (text: string) => call<Recognised>('POST', '/uplinks/recognise', { text })
export const keepSecret = (name: string, value: string) => call<{ file: string }>('POST', '/secrets', { name, value })
export const beginOutage = (uplink: string, seconds: number) => call<Outage>('POST', `/uplinks/${encodeURIComponent(uplink)}/outage`, { seconds })
export const outage = (uplink: string) => call<Outage>('GET', `/uplinks/${encodeURIComponent(uplink)}/outage`)
export const trace = (device: string) => new EventSource('/api/v1/trace?' + new URLSearchParams({ device }).toString())

// draftOf reads a draft that this page or an older one has kept.
export function draftOf(list: Checklist | undefined): Draft {
  const kept = (list?.draft ?? {}) as Partial<Draft>
  return {
    devices: Array.isArray(kept.devices) ? kept.devices : [],
    buses: Array.isArray(kept.buses) ? kept.buses : [],
    ...(kept.uplink ? { uplink: kept.uplink } : {}),
  }
}

export const isEmpty = (draft: Draft) => draft.devices.length === 0 && draft.uplink === undefined

// nextStep is the first that is neither done nor left for later; undefined: there is none.
export function nextStep(list: Checklist): StepName | undefined {
  return steps.find((step) => !list[step] && !list.skipped.includes(step))
}

export const doneSteps = (list: Checklist) => steps.filter((step) => list[step])

// opens says whether the page begins with the first run: on a gateway that has nothing to do yet.
export function opens(list: Checklist, status: Status): boolean {
  return !list.dismissed && !list.start && !status.demo && status.devices.length === 0 && status.uplinks.length === 0
}

// reminds says whether the overview speaks of the first run.
export function reminds(list: Checklist, status: Status): boolean {
  return !list.dismissed && !status.demo && doneSteps(list).length < steps.length
}

const tolerated = 5000 // milliseconds

export interface ClockVerdict {
  fine: boolean
  apart: number // milliseconds that the gateway is behind the browser; negative: before it
  zone: boolean // the zones are the same
}

// judgeClock compares the gateway's clock with the browser's. A clock that nothing keeps right, and that
// could be set, is asked about even when it is right by chance.
export function judgeClock(time: Time, now: number, zone: string): ClockVerdict {
  const apart = now - Date.parse(time.now)
  const close = Math.abs(apart) <= tolerated
  const same = canonical(time.zone) === canonical(zone)
  return { fine: close && (!time.can_set || (time.synchronised && same)), apart, zone: same }
}

// canonical gives one name for a zone that has several.
export function canonical(zone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone
  } catch {
    return zone
  }
}

// nameFor makes a name that is not taken, of what a thing is.
export function nameFor(what: string, taken: string[]): string {
  const name = what.toLowerCase().replace(/[^a-z0-9-]+/g, '-').replace(/^-+|-+$/g, '') || 'device'
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`
    if (!taken.includes(candidate)) return candidate
  }
}

export interface Candidate {
  device: Section
  bus?: Section
}

// withCandidates puts devices into a draft; who has a name that is taken gets another, and lines that are
// the same become one.
export function withCandidates(draft: Draft, chosen: Candidate[], taken: string[]): Draft {
  const devices = [...draft.devices]
  const buses = [...draft.buses]
  for (const { device, bus } of chosen) {
    const name = nameFor(String(device.name ?? 'device'), [...taken, ...devices.map((d) => String(d.name))])
    let address = device.address
    if (bus) {
      const same = buses.find((b) => b.serial !== undefined && b.serial === bus.serial)
      const called = same ? String(same.name) : nameFor(String(bus.name ?? 'line'), buses.map((b) => String(b.name)))
      if (!same) buses.push({ ...bus, name: called })
      address = String(address).replace(/:\/\/.*$/, '://' + called)
    }
    // In the order in which people write a device.
    devices.push({ ...Object.fromEntries(['name', 'driver', 'profile'].filter((key) => key in device).map((key) => [key, device[key]])), ...device, name, ...(address === undefined ? {} : { address }) })
  }
  return { ...draft, devices, buses }
}

// editsOf makes of a draft what the configuration is changed by.
export function editsOf(draft: Draft): { path: string[]; value: unknown }[] {
  return [
    ...draft.buses.map((bus) => ({ path: ['buses', String(bus.name)], value: bus as unknown })),
    ...draft.devices.map((device) => ({ path: ['devices', String(device.name)], value: device as unknown })),
    ...(draft.uplink ? [{ path: ['uplinks', String(draft.uplink.name)], value: draft.uplink as unknown }] : []),
  ]
}

// put gives a section with a value at a path, as a secret's file stands in it.
export function put(section: Section, path: string[], value: unknown): Section {
  const [key, ...rest] = path
  if (key === undefined) return section
  return { ...section, [key]: rest.length === 0 ? value : put((section[key] ?? {}) as Section, rest, value) }
}

export interface Blank {
  line: number // of the exported text, from 1
  text: string
}

// forNextBox makes of a configuration the file for the next gateway: what is different there stands at the
// top, with its line. Secrets are hidden in it already.
export function forNextBox(text: string, head: (blanks: Blank[]) => string[]): string {
  const lines = text.replace(/\s+$/, '').split('\n')
  const file = /\b(?:[a-z]+_file|cert|key|ca)["']?\s*:\s*(?!["']{2})["']?[^\s"',}]/
  const blanks = lines.flatMap((line, i) => {
    if (/^\s*#/.test(line)) return []
    const different = line.includes('***') || file.test(line) || (/\bname["']?\s*:/.test(line) && inGateway(lines, i))
    return different ? [{ line: i, text: line.trim() }] : []
  })
  const own = head(blanks.map(({ text }) => ({ line: 0, text }))).length
  return [...head(blanks.map(({ line, text }) => ({ line: line + 1 + own, text }))), ...lines, ''].join('\n')
}

// inGateway says whether a line stands in the section that names the gateway.
function inGateway(lines: string[], at: number): boolean {
  for (let i = at; i >= 0; i--) {
    const top = /^([a-z_]+)\s*:/.exec(lines[i] ?? '')
    if (top) return top[1] === 'gateway'
  }
  return false
}

