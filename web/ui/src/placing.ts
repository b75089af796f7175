// Where a device is, as people write it, made into what the configuration wants.

import type { Section } from './setup'

export interface Placed {
  device: Section
  bus?: Section
}

// Drivers whose devices have a number of their own in place of a unit.
const numbered: Record<string, string> = { dlt645: 'meter', 'dlt645-1997': 'meter', cjt188: 'meter', mbus: 'meter' }

// placed reads host:port or the name of a serial port; undefined: it is neither, or what is beside it cannot be.
// line says how a model's serial line is set as delivered, such as "9600 8N1".
export function placed(address: string, driver: string, unit: string, line?: string): Placed | undefined {
  const key = numbered[driver] ?? 'unit'
  const who = whoOf(driver, unit)
  if (who === undefined) return undefined
  const number = who === '' ? {} : { [key]: who }
  const text = address.trim().replace(/^tcp:\/\//, '')
  if (text.startsWith('/')) {
    const scheme = driver === 'modbus' ? 'rtu' : 'bus'
    return { device: { address: `${scheme}://line`, ...number }, bus: { name: 'line', serial: text, ...settingsOf(line) } }
  }
  const [, host = '', port = driver === 'modbus' ? '502' : ''] = /^(\[[0-9a-f:]+\]|[^\s:/]+)(?::(\d{1,5}))?$/i.exec(text) ?? []
  if (host === '' || port === '' || Number(port) < 1 || Number(port) > 65_535) return undefined
  return { device: { address: `tcp://${host}:${port}`, ...number } }
}

function whoOf(driver: string, unit: string): number | string | undefined {
  const text = unit.trim()
  if (driver !== 'modbus') return text
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : undefined
}

// settingsOf takes the settings of a line out of a profile's words.
export function settingsOf(line?: string): Section {
  const [, baud, bits, parity, stop] = /(\d{3,6})\s+([5-8])([NEO])([12])/.exec(line ?? '') ?? []
  if (baud === undefined) return {}
  return {
    baud: Number(baud),
    ...(bits === '8' ? {} : { data_bits: Number(bits) }),
    parity: parity === 'E' ? 'even' : parity === 'O' ? 'odd' : 'none',
    ...(stop === '1' ? {} : { stop_bits: Number(stop) }),
  }
}
