// What is to be said of a backlog.

import { age, held, type Status, type Uplink } from './status'

export type Drain = { state: 'nothing' | 'now' | 'offline' | 'growing' | 'slow' } | { state: 'in' | 'held'; milliseconds: number }

// drainOf says what becomes of an uplink's backlog: gone, about to go, waiting for the line or for its hours.
export function drainOf(uplink: Uplink, status: Status): Drain {
  if (uplink.backlog === 0) return { state: 'nothing' }
  const until = held(uplink)
  if (until !== undefined) return { state: 'held', milliseconds: Math.max(0, Date.parse(until) - Date.parse(status.time)) }
  if (uplink.state !== 'online') return { state: 'offline' }
  const old = uplink.oldest !== undefined && age(status, uplink.oldest) > 3000
  if (!old) return { state: 'now' } // it is what has just come
  if (uplink.drain_seconds !== undefined) return { state: 'in', milliseconds: uplink.drain_seconds * 1000 }
  return { state: uplink.rate > 0 ? 'growing' : 'slow' }
}
