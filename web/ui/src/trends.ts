// What the page knows of trends: which points and which time are chosen, as the address has them, and what
// becomes of the gateway's answers.

import { call } from './api'
import type { Schemas } from './schemas'

export type Trend = Schemas['Trend']
export type Series = Schemas['TrendSeries']

export interface PointName {
  device: string
  point: string
}

export interface Span {
  from: number // Unix milliseconds
  to: number
}

export const mostPoints = 8 // that the gateway takes at once

export const ranges = { '10m': 600_000, '1h': 3_600_000, '8h': 28_800_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 } as const
export type Range = keyof typeof ranges

// Choice is what is looked at: the last hour or so, which goes on with the clock, or a time of its own.
export interface Choice {
  points: PointName[]
  range: Range
  own?: Span // instead of range
}

const usualRange: Range = '1h'

// choiceOf reads an address; what makes no sense there is left out.
export function choiceOf(query: URLSearchParams): Choice {
  const points: PointName[] = []
  for (const text of (query.get('p') ?? '').split(',')) {
    const point = pointOf(text)
    if (point && points.length < mostPoints && !points.some((p) => same(p, point))) points.push(point)
  }
  const asked = query.get('range') ?? ''
  const range = Object.hasOwn(ranges, asked) ? (asked as Range) : usualRange
  const from = Date.parse(query.get('from') ?? '')
  const to = Date.parse(query.get('to') ?? '')
  return from > 0 && to > from ? { points, range, own: { from, to } } : { points, range }
}

// queryOf writes what choiceOf reads.
export function queryOf(choice: Choice): Record<string, string> {
  const own = choice.own && { from: new Date(choice.own.from).toISOString(), to: new Date(choice.own.to).toISOString() }
  return { p: choice.points.map(nameOf).join(','), range: choice.range, ...own }
}

export const same = (a: PointName, b: PointName): boolean => a.device === b.device && a.point === b.point

// nameOf writes a point as the API has it: DEVICE/POINT, both percent-encoded.
export const nameOf = (p: PointName): string => encodeURIComponent(p.device) + '/' + encodeURIComponent(p.point)

function pointOf(text: string): PointName | undefined {
  const [device = '', point = ''] = text.split('/', 2)
  try {
    return device && point ? { device: decodeURIComponent(device), point: decodeURIComponent(point) } : undefined
  } catch {
    return undefined // an address that somebody wrote by hand
  }
}

function asked(points: PointName[], span: Span): URLSearchParams {
  const query = new URLSearchParams(points.map((p) => ['point', nameOf(p)]))
  query.set('from', new Date(span.from).toISOString())
  query.set('to', new Date(span.to).toISOString())
  return query
}

// exportAddress is where the browser fetches the table from.
export function exportAddress(points: PointName[], span: Span, layout: 'wide' | 'long', zone: string): string {
  const query = asked(points, span)
  query.set('layout', layout)
  query.set('zone', zone)
  return '/api/v1/trends/export?' + query.toString()
}

const patience = 20_000 // milliseconds for one answer: others may be looked at first

// fetchTrend asks until the answer is complete and hands over what there is after each piece.
export async function fetchTrend(points: PointName[], span: Span, width: number, take: (series: Series[], piece: Trend) => boolean): Promise<void> {
  const query = asked(points, span)
  query.set('width', String(Math.min(4000, Math.max(10, Math.round(width)))))
  let whole: Series[] | undefined
  for (;;) {
    const piece = await call<Trend>('GET', '/trends?' + query.toString(), undefined, patience)
    whole = whole ? whole.map((series, i) => joined(series, piece.series[i]!)) : piece.series
    if (!take(whole, piece) || piece.complete || !piece.next) return
    query.set('next', piece.next)
  }
}

// joined puts a later piece of a course behind an earlier one.
export function joined(a: Series, b: Series): Series {
  const count = a.count + b.count
  const mean = count === 0 ? null : ((a.mean ?? 0) * a.count + (b.mean ?? 0) * b.count) / count
  const both = (least: (...list: number[]) => number, x: number | null, y: number | null) => (x === null ? y : y === null ? x : least(x, y))
  const [t, v] = inOrder([...a.t, ...b.t], [...a.v, ...b.v])
  return {
    ...a, t, v, count, mean, steps: a.steps || b.steps, errors: a.errors + b.errors, texts: a.texts + b.texts,
    min: both(Math.min, a.min, b.min), max: both(Math.max, a.max, b.max),
  }
}

// inOrder sorts what is not in order: readings that had to wait may come with the next piece.
function inOrder(t: number[], v: (number | null)[]): [number[], (number | null)[]] {
  if (t.every((at, i) => i === 0 || at > t[i - 1]!)) return [t, v]
  const order = t.map((_, i) => i).sort((i, j) => t[i]! - t[j]!)
  const kept = order.filter((i, n) => n === 0 || t[i] !== t[order[n - 1]!])
  return [kept.map((i) => t[i]!), kept.map((i) => v[i]!)]
}

// aligned gives one list of times, in seconds, for all courses, as the chart wants them. Where a course has
// nothing stands undefined, over which its line goes; where nothing may be drawn stands null.
export function aligned(list: Series[]): [number[], ...(number | null | undefined)[][]] {
  const times: number[] = []
  const columns: (number | null | undefined)[][] = list.map(() => [])
  const at = list.map(() => 0)
  for (;;) {
    let next = Infinity
    for (let i = 0; i < list.length; i++) next = Math.min(next, list[i]!.t[at[i]!] ?? Infinity)
    if (next === Infinity) return [times, ...columns]
    times.push(next / 1000)
    for (let i = 0; i < list.length; i++) {
      if (list[i]!.t[at[i]!] === next) columns[i]!.push(list[i]!.v[at[i]!++]!)
      else columns[i]!.push(undefined)
    }
  }
}

// valueAt gives the value that a course has at a time: of steps the one that holds, else the nearest within
// reach; undefined where there is none.
export function valueAt(series: Series, time: number, reach: number): number | undefined {
  const { t, v } = series
  let low = 0
  let high = t.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (t[middle]! <= time) low = middle + 1
    else high = middle
  }
  const before = low - 1
  if (series.steps) return before >= 0 ? (v[before] ?? undefined) : undefined
  let best: number | undefined
  let distance = reach
  for (const i of [before - 1, before, low, low + 1]) {
    const value = v[i]
    if (value === undefined || value === null) continue
    const away = Math.abs(t[i]! - time)
    if (away <= distance) [best, distance] = [value, away]
  }
  return best
}

// lastValue is the last that is known of a course.
export function lastValue(series: Series): number | undefined {
  for (let i = series.v.length - 1; i >= 0; i--) if (series.v[i] !== null) return series.v[i]!
  return undefined
}

// alone says of each value of a column whether no line leads to it: only a dot shows it.
export function alone(column: ArrayLike<number | null | undefined>): number[] {
  const dots: number[] = []
  let before: number | null = null
  let candidate = -1
  for (let i = 0; i < column.length; i++) {
    const value = column[i]
    if (value === undefined) continue
    if (value === null) {
      if (candidate >= 0) dots.push(candidate)
      candidate = -1
    } else candidate = before === null ? i : -1
    before = value
  }
  if (candidate >= 0) dots.push(candidate)
  return dots
}

const shortest = 1000 // milliseconds that a chart shows at least
const longest = 400 * 86_400_000

// zoomed makes a span larger (factor above 1) or smaller around a moment, within what makes sense.
export function zoomed(span: Span, around: number, factor: number): Span {
  const length = span.to - span.from
  const wanted = Math.min(longest, Math.max(shortest, length * factor))
  const share = (around - span.from) / length
  const from = Math.round(around - wanted * share)
  return { from: Math.max(1000, from), to: Math.max(1000, from) + Math.round(wanted) }
}

// moved shifts a span by a share of its length, not beyond now.
export function moved(span: Span, share: number, now: number): Span {
  const length = span.to - span.from
  const to = Math.min(span.to + Math.round(length * share), Math.max(now, span.to))
  return { from: Math.max(1000, to - length), to }
}

// Axis is one scale of the chart: all courses of a unit share it.
export interface Axis {
  unit: string
  series: number[]
  right: boolean
}

// axesOf gives each unit an axis, in turn left and right.
export function axesOf(list: { unit: string }[]): Axis[] {
  const axes: Axis[] = []
  list.forEach((series, i) => {
    const axis = axes.find((a) => a.unit === series.unit)
    if (axis) axis.series.push(i)
    else axes.push({ unit: series.unit, series: [i], right: axes.length % 2 === 1 })
  })
  return axes
}

// every is how long to wait between two looks at a range that goes on with the clock.
export function every(length: number, took: number): number {
  return Math.min(300_000, Math.max(2000, length / 900, took * 20))
}

// ticks writes the times below a chart: no finer than they are apart, with the day where it changes.
export function ticks(seconds: number[], apart: number, locale: string): string[] {
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', ...(apart < 60 ? { second: '2-digit' as const } : {}), hourCycle: 'h23' })
  const day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' })
  let before = ''
  return seconds.map((s) => {
    const at = new Date(s * 1000)
    const today = day.format(at)
    const changed = today !== before
    before = today
    if (apart >= 86_400) return today
    const fine = apart < 1 ? '.' + String(Math.round((s % 1) * 1000)).padStart(3, '0') : ''
    return changed ? `${clock.format(at)}${fine}\n${today}` : clock.format(at) + fine
  })
}

// match finds points by the words of a search, which may stand in any order, and says how many there are.
export function match(all: Offered[], search: string, most: number): { found: Offered[]; total: number } {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const found: Offered[] = []
  let total = 0
  for (const point of all) {
    if (!words.every((word) => point.text.includes(word))) continue
    total++
    if (found.length < most) found.push(point)
  }
  return { found, total }
}

// Offered is a point that can be chosen.
export interface Offered extends PointName {
  unit: string
  text: string // in small letters, to be searched
  number: boolean // it has a value that can be drawn
}

export function offered(devices: { name: string; points: { name: string; unit?: string; value?: unknown }[] }[]): Offered[] {
  return devices.flatMap((d) =>
    d.points.map((p) => ({ device: d.name, point: p.name, unit: p.unit ?? '', text: `${d.name} ${p.name} ${p.unit ?? ''}`.toLowerCase(), number: typeof p.value !== 'string' })),
  )
}
