// What the API says of the lines over which devices are asked.

import type { Tone } from './verdict'
import type { Schemas } from './schemas'

export type Bus = Schemas['Bus']
export type BusDevice = Schemas['BusDevice']
export type BusFinding = Schemas['BusFinding']
export type BusText = Schemas['BusText']
export type BusFrame = Schemas['BusFrame']

// busTone: a line that nobody has used yet is neither good nor bad.
export function busTone(bus: Bus): Tone {
  if (bus.exchanges === 0) return 'busy'
  if (!bus.open) return 'bad'
  return bus.findings.length > 0 ? 'warn' : 'good'
}

// Fault is one way in which what came was no answer; not every line has them all.
export type Fault = 'garbled' | 'damaged' | 'elsewhere' | 'late'

// faultsOf counts them for a device: what came from another unit, for another master or in another dialect
// came from elsewhere.
export function faultsOf(device: BusDevice): Record<Fault, number> {
  return {
    garbled: device.garbled,
    damaged: device.damaged,
    elsewhere: device.wrong_unit + device.unrelated + device.other_dialect,
    late: device.late,
  }
}

// faultsOn are the faults that any device of the line has shown.
export function faultsOn(bus: Bus): Fault[] {
  const all: Fault[] = ['garbled', 'damaged', 'elsewhere', 'late']
  return all.filter((fault) => bus.devices.some((device) => faultsOf(device)[fault] > 0))
}

// duration writes milliseconds. What is too short to tell is still an answer, as that of a virtual port is,
// which is faster than its rate; undefined: there was none.
export function duration(ms: number | undefined, int: (n: number) => string): string {
  if (ms === undefined) return '–'
  if (ms < 0.1) return '< 0.1 ms'
  if (ms >= 10_000) return int(ms / 1000) + ' s'
  return (ms < 10 ? ms.toFixed(1) : int(ms)) + ' ms'
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
