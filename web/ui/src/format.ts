import type { Scalar } from './status'

// Format writes numbers, sizes and times in the words of one language.
export interface Format {
  int(n: number): string
  short(n: number): string
  rate(n: number): string
  bytes(n: number): string
  duration(milliseconds: number): string
  clock(moment: string | number): string
  moment(moment: string | number): string
  value(v: Scalar, decimals?: number): string
}

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

export function format(locale: string, words: { on: string; off: string }): Format {
  const int = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
  const short = new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 })
  const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
  const exact = (digits: number, decimals: number) =>
    new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: digits })
  const tiny = new Intl.NumberFormat(locale, { notation: 'scientific', maximumSignificantDigits: 6 })
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
  const moment = new Intl.DateTimeFormat(locale, {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
  })
  const unit = Object.fromEntries(
    units.map(([name]) => [name, new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'short' })]),
  ) as Record<(typeof units)[number][0], Intl.NumberFormat>

  return {
    int: (n) => int.format(n),
    short: (n) => (Math.abs(n) < 10_000 ? int.format(n) : short.format(n)),
    rate: (n) => (n >= 1000 ? int.format(n) : one.format(n)),
    bytes(n) {
      const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
      let size = n
      let step = 0
      while (size >= 1024 && step < names.length - 1) {
        size /= 1024
        step++
      }
      return `${step === 0 || size >= 100 ? int.format(size) : one.format(size)} ${names[step]}`
    },
    // duration keeps the two largest units: more would only flicker.
    duration(milliseconds) {
      let rest = Math.max(0, Math.round(milliseconds / 1000))
      const parts: string[] = []
      for (const [name, seconds] of units) {
        const count = Math.floor(rest / seconds)
        rest -= count * seconds
        if (count > 0 || (name === 'second' && parts.length === 0)) parts.push(unit[name].format(count))
        else if (parts.length > 0) break
        if (parts.length === 2) break
      }
      return parts.join(' ')
    },
    clock: (moment) => clock.format(typeof moment === 'string' ? Date.parse(moment) : moment),
    // moment has the date in the order that sorts, whatever the language.
    moment(at) {
      const part = Object.fromEntries(moment.formatToParts(typeof at === 'string' ? Date.parse(at) : at).map((p) => [p.type, p.value]))
      return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}.${part.fractionalSecond}`
    },
    value(v, decimals = 0) {
      if (v === null) return '–'
      if (typeof v === 'boolean') return v ? words.on : words.off
      if (typeof v === 'string') return v
      const size = Math.abs(v)
      if (size !== 0 && (size < 1e-5 || size >= 1e15)) return tiny.format(v)
      const shown = Math.min(8, Math.max(decimals, decimalsOf(v)))
      return exact(shown, shown).format(v)
    },
  }
}

// decimalsOf is how many decimals a number is worth showing. A meter's 32-bit float comes as
// 64.30000305175781 and means 64.3: it has seven digits.
export function decimalsOf(v: number): number {
  if (Number.isInteger(v)) return 0
  const digits = Math.fround(v) === v ? 7 : 12
  const [, fraction = ''] = String(Number(v.toPrecision(digits))).split('.')
  return /e/.test(fraction) ? 8 : fraction.length
}
