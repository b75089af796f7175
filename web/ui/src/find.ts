import * as api from './api'
import type { Found } from './messages'

// Wanted is what the search form says.
export interface Wanted {
  topic: string
  key: string // a key, a unique key, a message id or a position
  range: string // one of ranges
  from: string // of the browser's clock and zone, as input type=datetime-local has it
  to: string
}

export const ranges = ['any', '15m', '1h', '24h', 'between'] as const

const lengths: Record<string, number> = { '15m': 15 * 60_000, '1h': 3_600_000, '24h': 86_400_000 } // milliseconds

export const pageOf = 50

// boundsOf gives the times between which is searched. A stretch up to now is reckoned by the gateway's clock.
export function boundsOf(wanted: Wanted, now: string): { from: string; to: string } {
  if (wanted.range === 'between') return { from: iso(wanted.from), to: iso(wanted.to) }
  const length = lengths[wanted.range]
  return { from: length ? new Date(Date.parse(now) - length).toISOString() : '', to: '' }
}

function iso(local: string): string {
  const at = new Date(local)
  return Number.isNaN(at.getTime()) ? '' : at.toISOString()
}

// topicOf is the topic as RocketMQ has it: of an MQTT topic the first level.
export function topicOf(text: string): string {
  return text.trim().split('/', 1)[0] ?? ''
}

// find asks for one page of what is wanted, from behind the message at next on.
export async function find(wanted: Wanted, now: string, next = 0): Promise<Found> {
  const key = wanted.key.trim()
  const topic = topicOf(wanted.topic)
  const found = await api.messages({ topic, key, ...(key ? {} : { order: 'newest' }), ...boundsOf(wanted, now), limit: pageOf, next: next || '' })
  if (key === '' || found.items.length > 0 || next > 0) return found
  if (/^([0-9a-f]{32}|[0-9a-f]{56})$/i.test(key)) return api.messages({ id: key })
  if (/^[1-9]\d{0,14}$/.test(key)) return atPosition(Number(key), found)
  return found
}

async function atPosition(position: number, nothing: Found): Promise<Found> {
  try {
    return { items: [await api.message(position)], order: 'newest' }
  } catch (error) {
    if (error instanceof api.Problem && error.status === 404) return nothing
    throw error
  }
}
