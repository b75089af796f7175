// Small courses for many places of the page: what is asked for at about the same time is asked for together,
// one request after the other, so that fifty of them do not keep the gateway from its work.

import { fetchTrend, mostPoints, same, type PointName, type Series } from './trends'

const width = 120 // columns of a small chart
const gather = 60 // milliseconds until those that appear together are known

interface Wanted {
  point: PointName
  span: number
  take: (series: Series | undefined) => void
}

let waiting: Wanted[] = []
let timer = 0
let working = false

// spark asks for the course of a point over the last milliseconds.
export function spark(point: PointName, span: number): Promise<Series | undefined> {
  return new Promise((take) => {
    waiting.push({ point, span, take })
    if (timer === 0 && !working) timer = window.setTimeout(() => void work(), gather)
  })
}

async function work(): Promise<void> {
  timer = 0
  working = true
  while (waiting.length > 0) {
    const batch = batchOf(waiting)
    waiting = waiting.filter((one) => !batch.includes(one))
    const points = batch.map((one) => one.point).filter((p, i, all) => all.findIndex((other) => same(p, other)) === i)
    let found: Series[] = []
    try {
      const to = Date.now()
      await fetchTrend(points, { from: to - batch[0]!.span, to }, width, (series) => ((found = series), true))
    } catch {
      // Whoever wanted it shows nothing, and asks again later.
    }
    for (const one of batch) one.take(found.find((s) => same(s, one.point)))
  }
  working = false
}

// batchOf takes the first, and with it what can be asked for together: the same time, and not too many points.
export function batchOf<T extends { point: PointName; span: number }>(list: T[]): T[] {
  const points: PointName[] = []
  return list.filter((one) => {
    if (one.span !== list[0]!.span) return false
    if (points.some((p) => same(p, one.point))) return true
    if (points.length >= mostPoints) return false
    points.push(one.point)
    return true
  })
}

// pathOf draws a course into a box: a line for each stretch without a hole.
export function pathOf(series: Series, from: number, to: number, w: number, h: number): string {
  const low = series.min ?? 0
  const high = series.max ?? 0
  const x = (t: number) => (((t - from) / (to - from)) * w).toFixed(1)
  const y = (v: number) => (high > low ? h - ((v - low) / (high - low)) * h : h / 2).toFixed(1)
  let path = ''
  let pen = false
  let before = ''
  series.t.forEach((t, i) => {
    const v = series.v[i]
    if (v === null || v === undefined) {
      pen = false
      return
    }
    if (series.steps && pen) path += `L${x(t)} ${before}`
    path += `${pen ? 'L' : 'M'}${x(t)} ${y(v)}`
    before = y(v)
    pen = true
  })
  return path
}
