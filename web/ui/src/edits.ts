// What is to be changed in the configuration, told in the smallest pieces: remarks beside the rest stay.

import type { Edit } from './config'
import type { Section } from './uplinks'

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
const isSection = (value: unknown): value is Section => typeof value === 'object' && value !== null && !Array.isArray(value)

// editsOf gives the edits that make one section of another, which lies at path.
export function editsOf(path: string[], before: Section, after: Section): Edit[] {
  const edits: Edit[] = []
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[key], after[key]]
    if (same(was, is)) continue
    if (isSection(was) && isSection(is)) edits.push(...editsOf([...path, key], was, is))
    else edits.push(is === undefined ? { path: [...path, key] } : { path: [...path, key], value: is })
  }
  return edits
}
