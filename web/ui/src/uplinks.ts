// What the page asks about uplinks beside their state.

import { call, type TestResult, type TestStep } from './api'
import type { Schemas } from './schemas'

export type Recognised = Schemas['Recognised']
export type Outage = Schemas['Outage']
export type RouteExample = Schemas['RouteExample']

// Section is a section of the configuration, as JSON has it.
export type Section = Record<string, unknown>

const one = (name: string) => '/uplinks/' + encodeURIComponent(name)

export const recognise = (text: string) => call<Recognised>('POST', '/uplinks/recognise', { text })
export const examples = (uplink: Section) => call<{ items: RouteExample[] }>('POST', '/uplinks/examples', { uplink })
export const keepSecret = (name: string, value: string) => call<{ file: string }>('POST', '/secrets', { name, value })
export const outage = (name: string) => call<Outage>('GET', one(name) + '/outage')
export const cut = (name: string, seconds: number) => call<Outage>('POST', one(name) + '/outage', { seconds })
export const restore = (name: string) => call<void>('DELETE', one(name) + '/outage')

// valueAt gives what a section has at a path of keys.
export function valueAt(section: Section, path: readonly string[]): unknown {
  let at: unknown = section
  for (const key of path) at = typeof at === 'object' && at !== null ? (at as Section)[key] : undefined
  return at
}

// withValue gives a copy of the section with a value at a path; undefined takes the key away, and sections
// that are empty then.
export function withValue(section: Section, path: readonly string[], value: unknown): Section {
  const [key, ...rest] = path
  if (key === undefined) return section
  const copy = { ...section }
  let next = value
  if (rest.length > 0) {
    const inner = copy[key]
    next = withValue(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Section) : {}, rest, value)
    if (Object.keys(next as Section).length === 0) next = undefined
  }
  if (next === undefined) delete copy[key]
  else copy[key] = next
  return copy
}

// freeName is a name that nobody has: the wanted one, or with a number behind it.
export function freeName(wanted: string, taken: readonly string[]): string {
  if (!taken.includes(wanted)) return wanted
  let n = 2
  while (taken.includes(`${wanted}-${n}`)) n++
  return `${wanted}-${n}`
}

// The four lights of a test: what of the way to the cloud is shown to work. A step of none of them is shown
// below them alone.
export const lights = ['resolve', 'connect', 'tls', 'login'] as const
export type Light = (typeof lights)[number]

const lightOf: Record<string, Light> = {
  'name resolved': 'resolve',
  'port open': 'connect',
  'proxy answered': 'connect',
  'certificate valid': 'tls',
  'logged in': 'login',
  published: 'login',
  acknowledged: 'login',
}

export type LightState = 'good' | 'bad' | 'waiting' | 'none'

// lightsOf says how the lights stand. What is behind a step that went well has gone well or was not needed: a
// number needs no name server, and a line without TLS has no certificate. Of several addresses the last counts.
export function lightsOf(steps: readonly TestStep[], result: TestResult | undefined): Record<Light, LightState> {
  const state: Record<Light, LightState> = { resolve: 'waiting', connect: 'waiting', tls: 'waiting', login: 'waiting' }
  for (const step of steps) {
    const light = lightOf[step.step]
    if (!light) continue
    const at = lights.indexOf(light)
    for (const [i, other] of lights.entries()) {
      if (i < at && state[other] !== 'good') state[other] = 'none'
      if (i > at) state[other] = 'waiting'
    }
    state[light] = step.error ? 'bad' : 'good'
  }
  if (result && !result.ok && !Object.values(state).includes('bad')) {
    const first = lights.find((light) => state[light] === 'waiting')
    if (first) state[first] = 'bad'
  }
  if (result) for (const light of lights) if (state[light] === 'waiting') state[light] = 'none'
  return state
}
