import { noticeOf, reachable } from './access'
import type { Format } from './format'
import { age, answering, held, until, waiting, type Status } from './status'

export type Tone = 'good' | 'busy' | 'warn' | 'bad'

// Finding is one sentence about the gateway: a key of the language files with what goes into it.
export interface Finding {
  tone: Tone
  key: string
  params: Record<string, string>
  evidence?: string // the gateway's own words
}

// Messages are always on their way for a moment; only what is older than this waits.
const settled = 3000 // milliseconds

const weight: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, good: 3 }

// findings says in words how the gateway is doing, the most important first. There is always one.
export function findings(status: Status, f: Format): Finding[] {
  const found = [...ofLog(status, f), ...ofUplinks(status, f), ...ofAbandoned(status, f), ...ofDevices(status, f), ...ofAccess(status)]
  found.sort((a, b) => weight[a.tone] - weight[b.tone])
  if (found.length === 0) found.push({ tone: 'good', key: status.uplinks.length > 0 ? 'allSent' : 'allStored', params: {} })
  return found
}

function ofLog(status: Status, f: Format): Finding[] {
  const log = status.log
  return [...ofRoom(log, f), ...(log.volatile ? [{ tone: 'bad' as const, key: 'logVolatile', params: {} }] : [])]
}

function ofRoom(log: Status['log'], f: Format): Finding[] {
  if (log.state === 'failed') return [{ tone: 'bad', key: 'logFailed', params: {}, ...evidence(log.error) }]
  // The log's own bound, or a disk that has less than that.
  if (log.state === 'full' && log.bytes < log.limit / 2) return [{ tone: 'bad', key: 'diskFull', params: { bytes: f.bytes(log.bytes) }, ...evidence(log.error) }]
  if (log.state === 'full') return [{ tone: 'bad', key: 'logFull', params: { limit: f.bytes(log.limit) }, ...evidence(log.error) }]
  return []
}

function ofUplinks(status: Status, f: Format): Finding[] {
  return status.uplinks.flatMap((uplink): Finding[] => {
    const params = {
      name: uplink.name,
      since: f.duration(age(status, uplink.since)),
      waiting: f.int(uplink.backlog),
    }
    if (uplink.state === 'connecting' && uplink.backlog === 0) return [{ tone: 'busy', key: 'uplinkConnecting', params }]
    if (uplink.state !== 'online') {
      return [{ tone: 'bad', key: uplink.backlog > 0 ? 'uplinkDownWaiting' : 'uplinkDown', params, ...evidence(uplink.last_error) }]
    }
    const found: Finding[] = uplink.set_aside > 0 ? [{ tone: 'warn', key: 'uplinkAside', params: { ...params, count: f.int(uplink.set_aside) } }] : []
    if (!uplink.oldest || age(status, uplink.oldest) < settled) return found
    const pause = held(uplink)
    if (pause) return [...found, { tone: 'busy', key: 'uplinkPaused', params: { ...params, time: f.duration(until(status, pause)) } }]
    if (uplink.drain_seconds === undefined) return [...found, { tone: 'warn', key: 'uplinkBehind', params }]
    return [...found, { tone: 'busy', key: 'uplinkDraining', params: { ...params, drain: f.duration(uplink.drain_seconds * 1000) } }]
  })
}

// A route that is left behind keeps the log, so it is said as long as nobody has decided about it.
function ofAbandoned(status: Status, f: Format): Finding[] {
  return status.abandoned.map((route) => ({
    tone: 'warn',
    key: route.gone ? 'uplinkGone' : 'routeGone',
    params: { name: route.uplink, from: route.from, messages: f.int(route.messages), bytes: f.bytes(route.bytes) },
  }))
}

function ofDevices(status: Status, f: Format): Finding[] {
  const off = status.devices.filter((d) => d.state === 'offline')
  const partly = status.devices.filter((d) => d.state === 'degraded')
  const found: Finding[] = []
  const only = off[0]
  if (only && off.length === 1) {
    const params = { name: only.name, since: f.duration(age(status, only.since)) }
    found.push({ tone: 'warn', key: 'deviceOffline', params, ...evidence(only.last_error) })
  } else if (off.length > 1) {
    found.push({ tone: 'warn', key: 'devicesOffline', params: { count: f.int(off.length), names: names(off) } })
  }
  if (partly.length > 0) {
    found.push({ tone: 'warn', key: 'devicesDegraded', params: { names: names(partly) }, ...evidence(partly.length === 1 ? partly[0]?.last_error : undefined) })
  }
  return found
}

function ofAccess(status: Status): Finding[] {
  if (!status.rocketmq || noticeOf(status.rocketmq)?.key !== 'open') return []
  return [{ tone: 'warn', key: 'rocketOpen', params: { list: reachable(status.rocketmq).join(', ') } }]
}

function names(list: { name: string }[]): string {
  const few = list.slice(0, 4).map((d) => d.name)
  return few.join(', ') + (list.length > few.length ? ', …' : '')
}

function evidence(text: string | undefined): { evidence?: string } {
  return text ? { evidence: text } : {}
}

// summary counts what works, for the line below the verdict.
export function summary(status: Status, f: Format): Record<string, string> {
  return {
    answering: f.int(status.devices.filter(answering).length),
    devices: f.int(status.devices.length),
    waiting: f.int(waiting(status)),
  }
}
