// The configuration over the API: edits by paths, previews, and what a form makes of a section.

import { call } from './api'
import type { Schemas } from './schemas'

export type Config = Schemas['Configuration']
export type ConfigState = Schemas['ConfigState']
export type Preview = Schemas['ConfigPreview']
export type Applied = Schemas['ConfigApplied']
export type DiffLine = Schemas['DiffLine']
export type Problem = Schemas['SectionProblem']
export type Revision = Schemas['Revision']
export type Field = Schemas['ConfigField']
export type Schema = Schemas['ConfigSchema']
export type Values = Record<string, unknown>

// Edit changes one value; without one it is removed. An item of a list is called by its name, or by its
// number from 0.
export interface Edit {
  path: string[]
  value?: unknown
}

// Change is edits of the configuration that runs, or a whole new text. over_file writes over a file that
// was changed by hand.
export type Change = { edits: Edit[]; over_file?: boolean } | { text: string; over_file?: boolean }

const patience = 60_000 // milliseconds: devices are opened and closed on the way

export const loadConfig = () => call<Config>('GET', '/config', undefined, patience)
export const configState = () => call<ConfigState>('GET', '/config/state')
export const loadSchema = () => call<Schema>('GET', '/config/schema')
export const preview = (change: Change, document = false) => call<Preview>('POST', '/config/preview' + (document ? '?document=true' : ''), change, patience)
export const apply = (change: Change, etag: string) => call<Applied>('PUT', '/config', change, patience, match(etag))
export const confirm = (id: string) => call<void>('POST', '/config/confirm', { id })
export const rollBack = () => call<void>('DELETE', '/config/pending', undefined, patience)
export const reload = () => call<Applied>('POST', '/config/reload', undefined, patience)
export const revisions = (before?: number) => call<{ items: Revision[]; before?: number }>('GET', '/revisions?limit=50' + (before ? `&before=${before}` : ''))
export const revisionDiff = (from: number, to?: number) => call<{ diff: DiffLine[] }>('GET', `/revisions/${from}/diff` + (to ? `?to=${to}` : ''))
export const restore = (revision: number, etag: string) => call<Applied>('POST', `/revisions/${revision}/restore`, undefined, patience, match(etag))

const match = (etag: string) => ({ 'If-Match': `"${etag}"` })

const isSection = (value: unknown): value is Values => typeof value === 'object' && value !== null && !Array.isArray(value)

// editsBetween gives what makes one value of another: keys one by one, lists as a whole.
export function editsBetween(path: string[], before: unknown, after: unknown): Edit[] {
  if (same(before, after)) return []
  if (after === undefined) return [{ path }]
  if (!isSection(before) || !isSection(after) || Object.keys(before).length === 0 || Object.keys(after).length === 0) return [{ path, value: after }]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => editsBetween([...path, key], before[key], after[key]))
}

// same compares two values as JSON has them; the order of keys does not count.
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]))
  if (!isSection(a) || !isSection(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]))
}

// withValue gives an object in which a key has another value; undefined takes the key out.
export function withValue(object: Values | undefined, key: string, value: unknown): Values {
  const next = { ...object }
  if (value === undefined) delete next[key]
  else next[key] = value
  return next
}

// problemAt is what is wrong with exactly this place.
export const problemAt = (problems: readonly Problem[], path: readonly string[]): string | undefined =>
  problems.find((p) => p.path.length === path.length && p.path.every((step, i) => step === path[i]))?.text

// problemsBelow says whether anything is wrong within a place.
export const problemsBelow = (problems: readonly Problem[], path: readonly string[]): boolean =>
  problems.some((p) => p.path.length > path.length && path.every((step, i) => step === p.path[i]))

// readField makes a value of what was typed into the field; empty is none, so that the default counts. What
// is no number stays text: the gateway says what it wants instead.
export function readField(field: Field, typed: string): unknown {
  const text = typed.trim()
  if (text === '') return undefined
  if (field.list) {
    const items = text.split('\n').map((line) => line.trim())
    return items.filter((item) => item !== '').map((item) => readScalar(field, item))
  }
  return readScalar(field, text)
}

function readScalar(field: Field, text: string): unknown {
  if (field.type !== 'integer' && field.type !== 'number') return text
  const n = Number(text)
  return Number.isFinite(n) && (field.type === 'number' || Number.isSafeInteger(n)) ? n : text
}

// showField is what stands in the field for a value.
export function showField(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.map(showField).join('\n')
  return typeof value === 'object' ? JSON.stringify(value, null, 2) : String(value as string | number | boolean)
}

interface Here {
  protocol: string
  hostname: string
  port: string
}

const everywhere = ['', '0.0.0.0', '::', '[::]', '*']

// movedTo is where the page will be after its section was changed, as seen from where it is; undefined when
// it stays, or goes.
export function movedTo(here: Here, web: Values | undefined): string | undefined {
  const tls = isSection(web?.tls) ? web.tls : undefined
  const secure = tls !== undefined
  const listen = secure ? (tls.listen ?? '0.0.0.0:8443') : (web?.listen ?? '127.0.0.1:8080')
  if (typeof listen !== 'string' || listen === '') return undefined
  const cut = listen.lastIndexOf(':')
  const host = listen.slice(0, cut)
  const port = listen.slice(cut + 1)
  const protocol = secure ? 'https:' : 'http:'
  const hostname = everywhere.includes(host) ? here.hostname : host
  const plain = here.port || (here.protocol === 'https:' ? '443' : '80')
  if (protocol === here.protocol && hostname === here.hostname && port === plain) return undefined
  return `${protocol}//${hostname}:${port}`
}
