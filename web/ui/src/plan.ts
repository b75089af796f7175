// What the API says of how a device is asked.

import type { Schemas } from './schemas'

export type Plan = Schemas['Plan']

// PlanGroup is what is asked at one interval; the group without a name has the device's own points.
export type PlanGroup = Schemas['PlanGroup']
export type PlanRequest = Schemas['PlanRequest']

// Lesson is something that the device was found to refuse.
export type Lesson = Schemas['PlanLesson']

// spanOf gives the addresses that a request reads, as on the wire.
export function spanOf(request: PlanRequest): string {
  const last = request.address + request.count - 1
  return request.count > 1 ? `${request.address}–${last}` : String(request.address)
}

const digits: Record<string, string> = { coil: '0', discrete: '1', input: '3', holding: '4' }

// numberedOf gives the first address in the form that counts from 1, with six digits where five do not do.
export function numberedOf(request: PlanRequest): string | undefined {
  const digit = digits[request.area]
  const number = request.address + 1
  return digit && digit + String(number).padStart(number > 9999 ? 5 : 4, '0')
}

export interface Totals {
  requests: number
  points: number
  unwanted: number
}

// totalsOf counts a point once, though it may take several requests.
export function totalsOf(plan: Plan): Totals {
  return {
    requests: plan.requests.length,
    points: new Set(plan.requests.flatMap((request) => request.points)).size,
    unwanted: plan.requests.reduce((sum, request) => sum + request.unwanted, 0),
  }
}

// few gives the first of many names, and how many more there are. One more is not worth hiding.
export function few(names: string[], most: number): { names: string; more: number } {
  const shown = names.length <= most + 1 ? names : names.slice(0, most)
  return { names: shown.join(', '), more: names.length - shown.length }
}
