import { expect, test } from 'vitest'

import catalogue from './lang/zh/said'
import { translator } from './sentences'

const verbs = /%(?:\[(\d+)\])?[-+# 0-9.*]*([a-zA-Z%])/g
// Without anything between two values nobody can tell them apart.
const undecided = new Set(['%s %X of %s%s'])
const sample: Record<string, string> = { d: '7', q: '"seven"', x: '0a', X: '0A', '%': '%' }

// written is a format with values in it, as the gateway would say it or as the page would.
function written(format: string, values: string[]): string {
  let next = 0
  return format.replace(verbs, (_, number: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (number) next = Number(number) - 1
    return values[next++] ?? ''
  })
}

function valuesOf(format: string): string[] {
  const values: string[] = []
  let next = 0
  let end = -1
  for (const { 0: whole, 1: number, 2: verb, index } of format.matchAll(verbs)) {
    if (verb === '%') continue
    if (number) next = Number(number) - 1
    // Two values without anything between: the second is a piece that is mostly not there.
    values[next] = index === end ? '' : (sample[verb ?? ''] ?? `v${next}`)
    end = index + whole.length
    next++
  }
  return values
}

test('every sentence of the catalogue is found again, whatever else begins alike', () => {
  const tell = translator(catalogue)
  const lost = Object.entries(catalogue).flatMap(([english, chinese]) => {
    if (undecided.has(english)) return []
    const values = valuesOf(english)
    const said = tell(written(english, values))
    const meant = written(chinese, values)
    return said === meant ? [] : [{ english, said, meant }]
  })
  expect(lost).toEqual([])
})
