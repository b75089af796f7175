// What the gateway tells of its machine, its own records, and the backup that takes the log's place.

import { call, Problem, query } from './api'
import type { Schemas } from './schemas'
import type { Tone } from './verdict'

export type System = Schemas['SystemState']
export type Storage = Schemas['SystemStorage']
export type LogRecord = Schemas['LogRecord']
export type LogLevel = Schemas['LogLevel']
export type Restore = Schemas['Restore']
export type Backup = Schemas['Backup']

export const system = () => call<System>('GET', '/system')
export const restart = () => call<{ started: string }>('POST', '/restart')
export const restoring = () => call<Restore>('GET', '/restore')
export const backingUp = () => call<Backup>('GET', '/backup')
export const diagnosticsAddress = '/api/v1/diagnostics'

export interface LogFilter {
  level: string
  part: string
  text: string
}

export const logs = (filter: LogFilter, before: number) => call<Schemas['LogPage']>('GET', '/logs' + query({ ...filter, before: before || '', limit: 100 }))
export const logEvents = (filter: LogFilter, after: number) => new EventSource('/api/v1/logs/events' + query({ ...filter, after: after || '' }))
export const logLevel = () => call<LogLevel>('GET', '/logs/level')
export const setLogLevel = (level: string, part: string, minutes: number) => call<LogLevel>('PUT', '/logs/level', { level, part, minutes })
export const resetLogLevel = () => call<LogLevel>('DELETE', '/logs/level')

const upload = 6 * 3_600_000 // milliseconds: as long as the longest log takes over a slow line

export const restore = async (backup: Blob, keep: boolean): Promise<Restore> => {
  const response = await fetch('/api/v1/restore' + query({ keep: String(keep) }), {
    method: 'POST',
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', 'Content-Type': 'application/octet-stream' },
    body: backup,
    signal: AbortSignal.timeout(upload),
  })
  const answer = (await response.json()) as Restore & { detail?: string; title?: string }
  if (!response.ok) throw new Problem(response.status, answer.detail ?? answer.title ?? response.statusText, undefined, undefined)
  return answer
}

// percent is a share of a whole, between 0 and 100; of nothing it is nothing.
export const percent = (part: number | null | undefined, whole: number | null | undefined): number | undefined =>
  part === null || part === undefined || !whole ? undefined : Math.min(100, Math.max(0, (100 * part) / whole))

// wear says how an eMMC stands by its own account.
export function wear(flash: Storage['flash']): { tone: Tone; word: 'good' | 'worn' | 'end' | 'unknown' } {
  const used = flash?.used_percent ?? 0
  if (!flash || (flash.used_percent === null && flash.spare === null)) return { tone: 'busy', word: 'unknown' }
  if (flash.spare === 'urgent' || used >= 100) return { tone: 'bad', word: 'end' }
  if (flash.spare === 'warning' || used >= 80) return { tone: 'warn', word: 'worn' }
  return { tone: 'good', word: 'good' }
}

// zoneText writes an offset as people do: UTC+08:00.
export function zoneText(now: string): string {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(now) ?? []
  return sign ? `UTC${sign}${hours}:${minutes}` : 'UTC'
}

// localTime is the wall clock of the gateway, whatever the browser's zone: its clock and its offset stand in
// one text.
export const localTime = (now: string): string => now.slice(0, 19).replace('T', ' ')

const kept = 1000 // records on the page

// joined puts newer records before older ones, each once, and keeps the newest.
export function joined(newer: readonly LogRecord[], older: readonly LogRecord[]): LogRecord[] {
  const seen = new Set<number>()
  return [...newer, ...older].sort((a, b) => b.number - a.number).filter((r) => !seen.has(r.number) && seen.add(r.number)).slice(0, kept)
}

// details writes a record's attributes on one line, with what they say in the words of told.
export const details = (record: LogRecord, told: (text: string) => string): string =>
  record.attrs.map(({ key, value }) => `${key}=${/[\s="]/.test(value) || value === '' ? JSON.stringify(told(value)) : value}`).join(' ')
