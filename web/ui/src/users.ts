import { call, query } from './api'
import type { Role } from './role'
import type { Schemas } from './schemas'

// Users, API tokens, the certificate and the records of what was done, as the gateway has them.

export type User = Schemas['User']
export type Token = Schemas['Token']
export type MadeToken = Schemas['MadeToken']
export type Certificate = Schemas['Certificate']
export type Audit = Schemas['Audit']

const name = encodeURIComponent
// A password is hashed in its turn, which takes long on a small machine.
const hashing = 30_000

export const users = () => call<{ items: User[] }>('GET', '/users')
export const addUser = (user: { name: string; role: Role; password: string }) => call<User>('POST', '/users', user, hashing)
export const changeUser = (user: string, change: { role?: Role; password?: string }) => call<User>('PUT', '/users/' + name(user), change, hashing)
export const removeUser = (user: string) => call<void>('DELETE', '/users/' + name(user))
export const changePassword = (old: string, next: string) => call<void>('PUT', '/session/password', { old, new: next }, hashing)

export const tokens = () => call<{ items: Token[] }>('GET', '/tokens')
export const makeToken = (token: { name: string; role: Role; expires?: string }) => call<MadeToken>('POST', '/tokens', token)
export const revokeToken = (token: string) => call<void>('DELETE', '/tokens/' + name(token))

export const certificate = () => call<Certificate>('GET', '/certificate')
export const uploadCertificate = (cert: string, key: string) => call<Certificate>('PUT', '/certificate', { cert, key })
export const remakeCertificate = () => call<Certificate>('POST', '/certificate')
export const removeCertificate = () => call<Certificate>('DELETE', '/certificate')

export interface AuditFilter {
  user: string
  search: string
}

export const audit = (filter: AuditFilter, before: number) =>
  call<{ items: Audit[]; before?: number }>('GET', '/audit' + query({ user: filter.user, search: filter.search.slice(0, 64), before: before || '' }))

// Field is one thing of a state that an audit record holds, before and after.
export interface Field {
  name: string
  before: string
  after: string
}

// changed compares two states, field by field where both are objects of JSON, else as a whole.
export function changed(before: string | undefined, after: string | undefined): Field[] {
  const old = objectOf(before)
  const next = objectOf(after)
  if (!old || !next) return before || after ? [{ name: '', before: before ?? '', after: after ?? '' }] : []
  return [...new Set([...Object.keys(old), ...Object.keys(next)])]
    .map((key) => ({ name: key, before: shown(old[key]), after: shown(next[key]) }))
    .filter((field) => field.before !== field.after)
}

// fieldsOf gives all that a record says was changed: keys of the configuration, or a state.
export const fieldsOf = (record: Audit): Field[] => [
  ...(record.changes ?? []).map((c) => ({ name: c.path, before: plain(c.before), after: plain(c.after) })),
  ...changed(record.before, record.after),
]

// plain gives a value of JSON as people read it: texts without quotes, unless they are empty or cut off.
function plain(json: string | undefined): string {
  if (!json || json === '""') return json ?? ''
  try {
    return shown(JSON.parse(json))
  } catch {
    return json
  }
}

function objectOf(text: string | undefined): Record<string, unknown> | undefined {
  if (!text) return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined // cut off, or in words
  }
}

const shown = (value: unknown): string => (value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value))

// expiryOf is the moment that lies so many days ahead; 0 is never.
export const expiryOf = (days: number, now: number): string | undefined => (days > 0 ? new Date(now + days * 86_400_000).toISOString() : undefined)
