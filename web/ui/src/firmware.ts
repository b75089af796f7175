// Updates of the whole system: what the gateway tells of its slots, and how a bundle gets there.

import { call } from './api'
import type { Schemas } from './schemas'
import type { Tone } from './verdict'

export type Firmware = Schemas['FirmwareState']
export type Install = Schemas['FirmwareInstall']
export type Check = Schemas['FirmwareCheck']

export const firmware = () => call<Firmware>('GET', '/firmware')
export const stream = (url: string) => call<Firmware>('POST', '/firmware', { url })
export const cancelUpload = () => call<void>('DELETE', '/firmware/install')
export const restartMachine = () => call<{ started: string }>('POST', '/firmware/restart')

// Refused says why a bundle was not taken; kind is empty where there is no better word than the gateway's.
export class Refused extends Error {
  constructor(
    readonly kind: string,
    readonly detail: string,
  ) {
    super(detail)
  }
}

// send uploads a bundle until it was checked, or until signal.
export async function send(bundle: File, signal: AbortSignal): Promise<void> {
  const response = await fetch('/api/v1/firmware?' + new URLSearchParams({ name: bundle.name }).toString(), {
    method: 'POST',
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', 'Content-Type': 'application/octet-stream' },
    body: bundle,
    signal,
  })
  if (response.ok) return
  const said = (await response.json().catch(() => ({}))) as Partial<Schemas['Problem']>
  throw new Refused(response.status === 422 ? (said.field ?? '') : '', said.detail ?? said.title ?? response.statusText)
}

// progressOf is how far an installation is, between 0 and 100: undefined while nobody knows.
export function progressOf(install: Install): number | undefined {
  if (install.phase === 'installing') return Math.min(100, Math.max(0, install.percent))
  if (install.phase === 'receiving' && install.total) return Math.min(100, (100 * install.bytes) / install.total)
  return undefined
}

export const toneOf = (state: Check['state']): Tone => (state === 'good' ? 'good' : state === 'bad' ? 'bad' : 'busy')

export const eventTone = (kind: string): Tone => (kind === 'kept' || kind === 'installed' ? 'good' : kind === 'restarting' ? 'busy' : kind === 'refused' ? 'warn' : 'bad')

// isAddress says whether a text is what a bundle may be streamed from.
export function isAddress(text: string): boolean {
  const url = URL.parse(text.trim())
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === ''
}
