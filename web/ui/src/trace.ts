// The last values of a device's points, as the page has seen them since it shows the device.

import type { Device } from './status'

const most = 120 // values of a point
const mostPoints = 500

export class Traces {
  private readonly all = new Map<string, number[]>()
  private polls = -1

  // add takes the values of a poll that has not been seen yet.
  add(device: Device): void {
    if (device.polls === this.polls) return
    this.polls = device.polls
    for (const point of device.points) {
      if (typeof point.value !== 'number' || point.error) continue
      let trace = this.all.get(point.name)
      if (!trace) {
        if (this.all.size >= mostPoints) continue
        this.all.set(point.name, (trace = []))
      }
      trace.push(point.value)
      if (trace.length > most) trace.shift()
    }
  }

  of(name: string): readonly number[] {
    return this.all.get(name) ?? []
  }
}

// lineOf draws values as the points of a line in a box, the newest at its right; '' for fewer than two.
export function lineOf(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return ''
  const least = Math.min(...values)
  const range = Math.max(...values) - least
  const step = width / (most - 1)
  const left = width - (values.length - 1) * step
  return values.map((value, i) => `${(left + i * step).toFixed(1)},${(range === 0 ? height / 2 : height - ((value - least) / range) * height).toFixed(1)}`).join(' ')
}
