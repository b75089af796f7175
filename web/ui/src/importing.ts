// What the API says of a table of points that it was given.

export interface Imported {
  format: string
  columns: ImportedColumn[]
  stations?: string[]
  station?: string // the one whose points are given
  rows: number
  points?: Record<string, unknown>[]
  problems?: ImportProblem[]
  yaml: string
}

export interface ImportedColumn {
  header: string
  column: string // what it is taken as; empty: not used
}

export interface ImportProblem {
  row?: number // in the file, from 1; missing: the file as a whole
  column?: string
  text: string
  warning?: boolean // the row is taken all the same
}

export const mostBytes = 8 << 20 // of a file

// Verdict of an import: how much of the file has become points.
export interface Yield {
  rows: number
  points: number
  left: number // rows that have become no point
  warnings: number
}

export function yieldOf(imported: Imported): Yield {
  const problems = imported.problems ?? []
  const points = imported.points?.length ?? 0
  return { rows: imported.rows, points, left: new Set(problems.filter((p) => !p.warning && p.row).map((p) => p.row)).size, warnings: problems.filter((p) => p.warning).length }
}

// sorted puts what concerns the whole file first, and then goes down the rows.
export function sorted(problems: ImportProblem[]): ImportProblem[] {
  return [...problems].sort((a, b) => (a.row ?? 0) - (b.row ?? 0))
}

// several says whether a file describes more than one device.
export function several(imported: Imported): boolean {
  return (imported.stations?.length ?? 0) > 1
}
