// What the API says of how a device is asked.

import type { Said } from './said'

export interface Plan {
  device: string
  requests: PlannedRequest[]
  learned?: Learned[]
  summary?: Said
}

export interface PlannedRequest {
  group?: string
  area: string
  function: number
  address: number
  numbered?: string // the same as 40001
  count: number
  points: string[]
  unwanted?: number // of count: what no point needs
  reason?: Said // why it is not one with the next request
  refused?: Said // the device's answer to it, which is not expected to change
}

// Learned is something that the device refuses.
export type Learned = Said | { text: Said; since?: string }

// textOf gives what was learned in words, sinceOf since when it is known.
export function textOf(learned: Learned): Said {
  return typeof learned === 'object' && 'text' in learned ? learned.text : learned
}

export function sinceOf(learned: Learned): string | undefined {
  return typeof learned === 'object' && 'text' in learned ? learned.since : undefined
}

// spanOf gives the addresses that a request reads, as on the wire.
export function spanOf(request: PlannedRequest): string {
  const last = request.address + request.count - 1
  return request.count > 1 ? `${request.address}–${last}` : String(request.address)
}

export interface Totals {
  requests: number
  points: number
  unwanted: number
}

// totalsOf counts a point once, though a request of each of its groups may bring it.
export function totalsOf(plan: Plan): Totals {
  return {
    requests: plan.requests.length,
    points: new Set(plan.requests.flatMap((request) => request.points)).size,
    unwanted: plan.requests.reduce((sum, request) => sum + (request.unwanted ?? 0), 0),
  }
}

// few gives the first of many names, and how many more there are. One more is not worth hiding.
export function few(names: string[], most: number): { names: string; more: number } {
  const shown = names.length <= most + 1 ? names : names.slice(0, most)
  return { names: shown.join(', '), more: names.length - shown.length }
}
