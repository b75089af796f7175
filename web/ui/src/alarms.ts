// What the API says of alarms, and what can be said of a rule without asking the gateway.

import { call, query } from './api'
import type { Scalar, Status } from './status'
import type { Schemas } from './schemas'
import type { Tone } from './verdict'

export type Alarm = Schemas['Alarm']
export type AlarmEvent = Schemas['AlarmEvent']
export type AlarmList = Schemas['AlarmList']
export type Notification = Schemas['Notification']
export type Severity = Alarm['severity']

export const severities = ['critical', 'warning', 'info'] as const
export const eventStates = ['raised', 'cleared', 'acknowledged', 'gap'] as const
export const kinds = ['above', 'below', 'outside', 'equals', 'changes', 'rate', 'silence', 'state'] as const
export type Kind = (typeof kinds)[number]

const sending = 45_000 // milliseconds: a mail server may take half a minute

export const alarms = (severity: string) => call<AlarmList>('GET', '/alarms' + query({ severity, limit: 1000 }))
export const pastAlarms = (wanted: { device: string; severity: string; state: string; before: number }) =>
  call<Schemas['AlarmPage']>('GET', '/alarms/past' + query({ ...wanted, before: wanted.before || '', limit: 50 }))
export const acknowledge = (id: string, note: string) => call<Alarm>('POST', `/alarms/${encodeURIComponent(id)}/acknowledge`, note ? { note } : {})
export const testNotification = (name: string) => call<void>('POST', `/alarms/notify/${encodeURIComponent(name)}/test`, undefined, sending)

export function severityTone(severity: string): Tone {
  if (severity === 'critical') return 'bad'
  return severity === 'warning' ? 'warn' : 'busy'
}

// Rule is an alarm as the configuration has it; what is missing has its default.
export interface Rule {
  name: string
  device: string
  point?: string
  when: Kind
  limit?: number
  low?: number
  high?: number
  value?: Scalar
  states?: string[]
  per?: string
  for?: string
  hysteresis?: number
  clear_after?: string
  severity?: Severity
  text?: string
  text_zh?: string
  notify?: string[]
  enabled?: boolean
}

// Which keys a kind of rule has, beside those of all.
const own: Record<Kind, (keyof Rule)[]> = {
  above: ['point', 'limit', 'hysteresis'],
  below: ['point', 'limit', 'hysteresis'],
  outside: ['point', 'low', 'high', 'hysteresis'],
  equals: ['point', 'value'],
  changes: ['point'],
  rate: ['point', 'limit', 'per'],
  silence: ['point'],
  state: ['states'],
}
const particular: (keyof Rule)[] = ['point', 'limit', 'low', 'high', 'value', 'states', 'per', 'hysteresis']

// has says whether rules of a kind have a key.
export const has = (when: Kind, key: keyof Rule): boolean => !particular.includes(key) || own[when].includes(key)

// tidy leaves out what is empty and what does not belong to the rule's kind.
export function tidy(rule: Rule): Rule {
  const kept = Object.entries(rule).filter(([key, value]) => {
    if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) return false
    if (key === 'enabled') return value === false
    return has(rule.when, key as keyof Rule)
  })
  return Object.fromEntries(kept) as unknown as Rule
}

// scalarOf reads what somebody typed as a value: a number, true or false, else text.
export function scalarOf(typed: string): Scalar | undefined {
  const text = typed.trim()
  if (text === '') return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  return Number.isFinite(Number(text)) ? Number(text) : text
}

// Missing is what a rule still needs, as keys of the language files.
export function missing(rule: Rule): string[] {
  const lacks: string[] = []
  if (!rule.name.trim()) lacks.push('name')
  if (!rule.device.trim()) lacks.push('device')
  if (own[rule.when].includes('point') && rule.when !== 'silence' && !rule.point) lacks.push('point')
  if (own[rule.when].includes('limit') && rule.limit === undefined) lacks.push('limit')
  if (rule.when === 'outside' && (rule.low === undefined || rule.high === undefined)) lacks.push('range')
  if (rule.when === 'outside' && rule.low !== undefined && rule.high !== undefined && rule.low > rule.high) lacks.push('range')
  if (rule.when === 'equals' && rule.value === undefined) lacks.push('value')
  if (rule.when === 'silence' && !rule.for) lacks.push('for')
  return lacks
}

// Guess is what a rule would say of one point, or device, as it is now.
export interface Guess {
  device: string
  point: string
  value: Scalar
  active: boolean | undefined // undefined: that takes time to tell
  error?: string
}

// guesses asks the rule about everything that it is about, at most so many.
export function guesses(rule: Rule, status: Status, most = 8): Guess[] {
  const found: Guess[] = []
  for (const device of status.devices) {
    if (rule.device !== '*' && rule.device !== device.name) continue
    if (rule.when === 'state') {
      const states = rule.states?.length ? rule.states : ['offline']
      found.push({ device: device.name, point: '', value: device.state, active: states.includes(device.state) })
      continue
    }
    if (rule.when === 'silence' && !rule.point) {
      found.push({ device: device.name, point: '', value: null, active: undefined })
      continue
    }
    for (const point of device.points) {
      if (rule.point !== '*' && rule.point !== point.name) continue
      const value = (point.value ?? null) as Scalar
      found.push({ device: device.name, point: point.name, value, active: point.error || value === null ? false : holds(rule, value), ...(point.error ? { error: point.error } : {}) })
    }
  }
  // What would be raised stands first.
  return found.sort((a, b) => Number(b.active === true) - Number(a.active === true)).slice(0, most)
}

function holds(rule: Rule, value: Scalar): boolean | undefined {
  const n = typeof value === 'boolean' ? Number(value) : value
  const number = typeof n === 'number'
  switch (rule.when) {
    case 'above':
      return number && rule.limit !== undefined && n > rule.limit
    case 'below':
      return number && rule.limit !== undefined && n < rule.limit
    case 'outside':
      return number && rule.low !== undefined && rule.high !== undefined && (n < rule.low || n > rule.high)
    case 'equals':
      return rule.value !== undefined && (typeof rule.value === 'string' ? rule.value === value : Number(rule.value) === n)
    default:
      return undefined
  }
}
