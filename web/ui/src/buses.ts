// What the API says of the lines over which devices are asked.

import type { Tone } from './verdict'

export interface Bus {
  name: string
  place: string
  open: boolean
  since?: string
  last_error?: string
  busy: number
  waiting: number
  cycle_ms: number
  exchanges: number
  failures: number
  noise: number
  echo: boolean
  bytes_in: number
  bytes_out: number
  devices: BusDevice[]
  findings: BusFinding[]
  findings_seconds: number
}

export interface BusDevice {
  name: string
  exchanges: number
  no_reply: number
  garbled: number
  refused: number
  fastest_ms: number
  mean_ms: number
  slowest_ms: number
  last_good?: string
}

export interface BusFinding {
  rule: string
  device?: string
  evidence: BusText
  cause: BusText
  next: BusText
}

export interface BusText {
  en: string
  zh: string
}

export interface BusFrame {
  seq: number
  at: string
  out: boolean
  hex: string
  cut?: number
  device?: string
  protocol?: string
  summary?: string
  verdict?: string
}

// busTone: a line that nobody has used yet is neither good nor bad.
export function busTone(bus: Bus): Tone {
  if (bus.exchanges === 0) return 'busy'
  if (!bus.open) return 'bad'
  return bus.findings.length > 0 ? 'warn' : 'good'
}

// spaced writes bytes apart, as people read them.
export function spaced(hex: string): string {
  return hex.replace(/../g, '$& ').trim().toUpperCase()
}

// printable says whether bytes are better read as text, as those of line protocols are.
export function printable(hex: string): string | undefined {
  const bytes = hex.match(/../g)?.map((b) => parseInt(b, 16)) ?? []
  const text = bytes.every((b) => (b >= 0x20 && b < 0x7f) || b === 13 || b === 10 || b === 2 || b === 3)
  return text && bytes.length > 2 ? bytes.map((b) => (b < 0x20 ? '·' : String.fromCharCode(b))).join('') : undefined
}

// most frames that the page keeps.
export const kept = 500

// joined puts new frames behind those that are known. One that comes again has got its verdict meanwhile.
export function joined(known: BusFrame[], more: BusFrame[]): BusFrame[] {
  if (more.length === 0) return known
  const again = new Set(more.map((f) => f.seq))
  return [...known.filter((f) => !again.has(f.seq)), ...more].slice(-kept)
}
