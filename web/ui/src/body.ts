import type { Message, Metric } from './messages'
import type { Scalar } from './status'

// What a message carries, in the forms that it can be shown in.

export type Form = 'sparkplug' | 'reading' | 'json' | 'text' | 'hex'

export interface Reading {
  gateway: string
  device: string
  epoch?: number
  seq?: number
  ts?: number
  clock?: string
  points: { name: string; value?: Scalar; error?: string }[]
}

// bytesOf gives the payload's bytes, or the beginning of them.
export function bytesOf(message: Message): Uint8Array {
  if (message.binary === undefined) return new TextEncoder().encode(message.text ?? '')
  return Uint8Array.from(atob(message.binary), (c) => c.charCodeAt(0))
}

// formsOf lists the forms that fit, the most telling first.
export function formsOf(message: Message): Form[] {
  const { sparkplug, ...plain } = message
  if (sparkplug) return ['sparkplug', ...formsOf(plain)]
  if (message.binary !== undefined) return ['hex']
  if (pretty(message.text ?? '') === undefined) return ['text', 'hex']
  return readingOf(message.text ?? '') ? ['reading', 'json', 'text', 'hex'] : ['json', 'text', 'hex']
}

// pretty indents JSON; undefined if it is none, or a bare number or word, which needs no indenting. The
// text is not parsed into numbers and written anew: 12345678901234567890 must stay what it is.
export function pretty(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || typeof value !== 'object') return undefined
  } catch {
    return undefined
  }
  let out = ''
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    const line = () => '\n' + '  '.repeat(depth)
    if (token === '{' || token === '[') {
      depth++
      out += token + line()
    } else if (token === '}' || token === ']') {
      depth--
      out = /[{[]\s*$/.test(out.slice(-(2 * depth + 8))) ? out.trimEnd() + token : out + line() + token
    } else if (token === ',') out += ',' + line()
    else out += token === ':' ? ': ' : token
  }
  return out
}

// readingOf reads a reading of the gateway; undefined if it is something else.
export function readingOf(text: string): Reading | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || typeof value.gateway !== 'string' || typeof value.device !== 'string' || !isObject(value.values)) return undefined
  const errors = isObject(value.errors) ? value.errors : {}
  const points = Object.entries(value.values)
    .filter((entry): entry is [string, Scalar] => entry[1] === null || typeof entry[1] !== 'object')
    .map(([name, v]): Reading['points'][number] => ({ name, value: v }))
  for (const [name, error] of Object.entries(errors)) points.push({ name, error: String(error) })
  const { epoch, seq, ts, clock } = value
  return {
    gateway: value.gateway,
    device: value.device,
    ...(typeof epoch === 'number' ? { epoch } : {}),
    ...(typeof seq === 'number' ? { seq } : {}),
    ...(typeof ts === 'number' ? { ts } : {}),
    ...(typeof clock === 'string' ? { clock } : {}),
    points,
  }
}

// metricValue writes the value of a Sparkplug metric; the words are those of a language.
export function metricValue(metric: Metric, words: { null: string; bytes(n: number): string; moment(at: string): string }): string {
  const { value, type, bytes } = metric
  if (value === undefined) return words.null
  if (bytes !== undefined) {
    const binary = type !== 'String' && type !== 'Text' && /^(?:[0-9a-f]{2})*$/.test(value)
    const shown = binary ? value.replace(/..(?=.)/g, '$& ') : value
    return `${shown}${bytes > value.length / (binary ? 2 : 1) ? '…' : ''} (${words.bytes(bytes)})`
  }
  return type === 'DateTime' && /^\d{4}-.*Z$/.test(value) ? words.moment(value) : value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

// hexShown bounds what is drawn: 16 bytes a line.
const hexShown = 8192

// hex writes bytes as a table: where, the bytes, what of them is ASCII.
export function hex(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, hexShown); at += 16) {
    const row = [...bytes.subarray(at, at + 16)]
    const digits = row.map((b) => b.toString(16).padStart(2, '0')).join(' ')
    const plain = row.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '·')).join('')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${digits.padEnd(47)}  ${plain}`)
  }
  if (bytes.length > hexShown) lines.push('…')
  return lines.join('\n')
}
