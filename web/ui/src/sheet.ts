// A table of texts that is edited like a spreadsheet, with undo over everything. It knows nothing of what the
// columns mean and shows nothing: that is for others.

export interface Row {
  readonly id: number // never used again
  cells: Record<string, string>
}

export interface CellChange {
  id: number
  field: string
  value: string
}

// Touched says what a step has changed: these rows in place, or rows have come, gone or moved as well.
export interface Touched {
  ids: Set<number>
  structure: boolean
  at?: { id: number; field: string } // where it began
}

interface Step {
  cells: { id: number; field: string; before: string; after: string }[]
  before?: Row[] // the order of rows, where that changed
  after?: Row[]
}

const mostSteps = 500

export class Sheet {
  rows: Row[] = []
  private byId = new Map<number, Row>()
  private next = 1
  private done: Step[] = []
  private undone: Step[] = []
  private saved: Step | undefined // the last step when it was saved
  private lost = false // that step can no longer be come back to

  constructor(rows: Record<string, string>[]) {
    this.rows = rows.map((cells) => this.fresh(cells))
  }

  private fresh(cells: Record<string, string>): Row {
    const row = { id: this.next++, cells }
    this.byId.set(row.id, row)
    return row
  }

  row(id: number): Row | undefined {
    return this.byId.get(id)
  }

  get canUndo(): boolean {
    return this.done.length > 0
  }

  get canRedo(): boolean {
    return this.undone.length > 0
  }

  // changed says whether anything is other than it was saved last.
  get changed(): boolean {
    return this.lost || this.done.at(-1) !== this.saved
  }

  keep(): void {
    this.saved = this.done.at(-1)
    this.lost = false
  }

  // set writes cells as one step.
  set(changes: CellChange[]): Touched {
    return this.take(this.stepOf(changes))
  }

  // write puts a table of texts over the rows with these ids and the fields, as one step, and adds rows where
  // there are too few. A single cell fills the whole range, as in Excel.
  write(ids: number[], fields: string[], table: string[][]): Touched {
    const single = table.length === 1 && table[0]?.length === 1 ? (table[0][0] ?? '') : undefined
    if (single !== undefined && ids.length > 0) {
      return this.set(ids.flatMap((id) => fields.map((field) => ({ id, field, value: single }))))
    }
    const more = Array.from({ length: Math.max(0, table.length - ids.length) }, () => this.fresh({}))
    const targets = [...ids.slice(0, table.length), ...more.map((row) => row.id)]
    const step = this.stepOf(
      table.flatMap((cells, i) => cells.flatMap((value, k) => (fields[k] && targets[i] !== undefined ? [{ id: targets[i], field: fields[k], value }] : []))),
    )
    if (more.length > 0) {
      step.before = this.rows
      step.after = [...this.rows, ...more]
    }
    return this.take(step)
  }

  // fillDown copies the first row of a range to the others.
  fillDown(ids: number[], fields: string[]): Touched {
    const first = this.byId.get(ids[0] ?? 0)
    return this.set(ids.slice(1).flatMap((id) => fields.map((field) => ({ id, field, value: first?.cells[field] ?? '' }))))
  }

  clear(ids: number[], fields: string[]): Touched {
    return this.set(ids.flatMap((id) => fields.map((field) => ({ id, field, value: '' }))))
  }

  // insert adds rows below the row with that id; undefined: at the end.
  insert(below: number | undefined, rows: Record<string, string>[]): Touched & { rows: Row[] } {
    const at = below === undefined ? this.rows.length : this.rows.findIndex((row) => row.id === below) + 1
    const fresh = rows.map((cells) => this.fresh(cells))
    const touched = this.take({ cells: [], before: this.rows, after: [...this.rows.slice(0, at), ...fresh, ...this.rows.slice(at)] })
    return { ...touched, rows: fresh }
  }

  remove(ids: number[]): Touched {
    const gone = new Set(ids)
    return this.take({ cells: [], before: this.rows, after: this.rows.filter((row) => !gone.has(row.id)) })
  }

  undo(): Touched | undefined {
    const step = this.done.pop()
    if (!step) return undefined
    this.undone.push(step)
    for (const change of step.cells) this.put(change.id, change.field, change.before)
    if (step.before) this.rows = step.before
    return touchedBy(step)
  }

  redo(): Touched | undefined {
    const step = this.undone.pop()
    if (!step) return undefined
    this.done.push(step)
    this.carryOut(step)
    return touchedBy(step)
  }

  private put(id: number, field: string, value: string): void {
    const row = this.byId.get(id)
    if (row) row.cells[field] = value
  }

  private carryOut(step: Step): void {
    for (const change of step.cells) this.put(change.id, change.field, change.after)
    if (step.after) this.rows = step.after
  }

  private stepOf(changes: CellChange[]): Step {
    const cells = []
    for (const { id, field, value } of changes) {
      const before = this.byId.get(id)?.cells[field] ?? ''
      if (before !== value) cells.push({ id, field, before, after: value })
    }
    return { cells }
  }

  private take(step: Step): Touched {
    const empty = step.cells.length === 0 && step.before?.length === step.after?.length
    if (empty) return { ids: new Set(), structure: false }
    this.carryOut(step)
    if (this.undone.includes(this.saved as Step)) this.lost = true
    this.undone = []
    this.done.push(step)
    if (this.done.length > mostSteps && this.done.shift() === this.saved) this.lost = true
    return touchedBy(step)
  }
}

function touchedBy(step: Step): Touched {
  const first = step.cells[0]
  return {
    ids: new Set(step.cells.map((change) => change.id)),
    structure: step.before !== undefined,
    ...(first ? { at: { id: first.id, field: first.field } } : {}),
  }
}
