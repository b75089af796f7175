// The grid of the points editor: Tabulator with the manners of a spreadsheet. It shows rows and says what
// somebody does to them; what becomes of it is the editor's business.

import {
  EditModule, FilterModule, FormatModule, FrozenColumnsModule, InteractionModule, KeybindingsModule, MoveColumnsModule, ResizeColumnsModule,
  SelectRangeModule, SortModule, Tabulator, type CellComponent, type ColumnDefinition, type RowComponent,
} from 'tabulator-tables'

import { writeTable, parseTable } from './clipboard'
import type { Row, Touched } from './sheet'

Tabulator.registerModule([EditModule, FilterModule, FormatModule, FrozenColumnsModule, InteractionModule, KeybindingsModule, MoveColumnsModule, ResizeColumnsModule, SelectRangeModule, SortModule])

export interface GridColumn {
  field: string
  title: string
  hint: string
  width: number
  choices: string[] // what is mostly written there
  live: boolean // shows what was read, and cannot be edited
  visible: boolean
}

// Selection is a range of cells; the first of each is where it begins.
export interface Selection {
  ids: number[]
  fields: string[]
}

// GridOwner hears what is done, and says how a cell looks.
export interface GridOwner {
  typed(id: number, field: string, text: string): void
  pasted(at: Selection, table: string[][]): void
  cleared(at: Selection): void
  filledDown(at: Selection): void
  undo(): void
  redo(): void
  find(): void
  insert(): void
  remove(): void
  moved(id: number, field: string): void // the active cell
  text(id: number, field: string, text: string): string // as it is shown
  beside(field: string, text: string): string // another way to write it, shown pale
  live(id: number, field: string): { text: string; bad: boolean }
  wrong(id: number, field: string): boolean
}

// What is not in Tabulator's types: its own answer to the keys of a spreadsheet.
interface Ranges {
  activeRange: { top: number; bottom: number; left: number; right: number; start: { row: number; col: number } } | false
  navigate(jump: boolean, expand: boolean, direction: 'up' | 'down' | 'left' | 'right'): boolean
}

type Shown = { id: number } & Record<string, string | number>

const rowHeight = 30

export class Grid {
  private readonly table: Tabulator
  private readonly ready: Promise<void>
  private readonly element: HTMLElement
  private readonly lists: HTMLElement[] = []
  private pressed: string | undefined // the key that began editing
  private leaving = false // Escape lets Tab leave the grid
  private current = { id: 0, field: '' }
  private gone = false
  private there: Set<number> // the rows that the grid has

  constructor(
    private readonly host: HTMLElement,
    private readonly columns: GridColumn[],
    rows: Row[],
    private readonly owner: GridOwner,
    label: string,
  ) {
    this.there = new Set(rows.map((row) => row.id))
    this.element = document.createElement('div')
    host.append(this.element)
    for (const column of columns) this.addList(column)
    this.table = new Tabulator(this.element, {
      index: 'id',
      data: rows.map(shownOf),
      height: '100%',
      rowHeight,
      renderVerticalBuffer: 150, // pixels drawn beyond what is seen: little, so that a leap draws little
      layout: 'fitData',
      rowHeader: { title: '#', formatter: 'rownum', headerSort: false, resizable: false, frozen: true, hozAlign: 'right', width: 52, minWidth: 40 },
      columns: columns.map((column) => this.definition(column)),
      columnDefaults: { headerSortTristate: true, resizable: 'header', minWidth: 56 },
      movableColumns: true,
      headerSortClickElement: 'icon',
      selectableRange: 1,
      selectableRangeColumns: true,
      selectableRangeRows: true,
      editTriggerEvent: 'dblclick',
      autoResize: true,
    } as ConstructorParameters<typeof Tabulator>[1])
    this.ready = new Promise((resolve) => this.table.on('tableBuilt', () => resolve()))
    this.table.on('rangeChanged', () => this.look())
    this.table.on('rangeAdded', () => this.look())
    void this.ready.then(() => {
      // Of a grid and what can be focused in it, only the rows' own holder may lie between.
      this.element.setAttribute('aria-label', label)
      this.element.removeAttribute('aria-owns')
      this.element.querySelector('.tabulator-tableholder')?.setAttribute('role', 'rowgroup')
      this.element.querySelector('.tabulator-table')?.setAttribute('role', 'presentation')
      this.element.querySelector('.tabulator-range-overlay')?.setAttribute('role', 'presentation')
    })
    host.addEventListener('keydown', this.onKey, true)
    host.addEventListener('copy', this.onCopy)
    host.addEventListener('cut', this.onCut)
    host.addEventListener('paste', this.onPaste)
    host.addEventListener('focusin', this.onFocus)
  }

  destroy(): void {
    this.gone = true
    this.host.removeEventListener('keydown', this.onKey, true)
    this.host.removeEventListener('copy', this.onCopy)
    this.host.removeEventListener('cut', this.onCut)
    this.host.removeEventListener('paste', this.onPaste)
    this.host.removeEventListener('focusin', this.onFocus)
    for (const list of this.lists) list.remove()
    this.table.destroy()
  }

  private addList(column: GridColumn): void {
    if (column.choices.length === 0) return
    const list = document.createElement('datalist')
    list.id = 'choices-' + column.field
    for (const choice of column.choices) list.append(new Option(choice, choice))
    this.host.append(list)
    this.lists.push(list)
  }

  private definition(column: GridColumn): ColumnDefinition {
    return {
      field: column.field,
      title: column.title,
      titleFormatter: () => heading(column),
      width: column.width,
      visible: column.visible,
      cssClass: column.live ? 'live' : '',
      sorter: (a: string, b: string) => String(a ?? '').localeCompare(String(b ?? ''), undefined, { numeric: true }),
      formatter: (cell: CellComponent) => this.draw(cell, column),
      ...(column.live ? {} : { editor: (cell: CellComponent, rendered: (f: () => void) => void, success: (v: string) => void, cancel: () => void) => this.editor(cell, column, rendered, success, cancel) }),
    } as unknown as ColumnDefinition
  }

  // draw writes what stands in a cell as text nodes; what devices and tables say is never markup.
  private draw(cell: CellComponent, column: GridColumn): HTMLElement | string {
    const id = (cell.getData() as Shown).id
    const element = cell.getElement()
    if (column.live) {
      const { text, bad } = this.owner.live(id, column.field)
      element.classList.toggle('failing', bad)
      return plain(text)
    }
    const wrong = this.owner.wrong(id, column.field)
    element.classList.toggle('wrong', wrong)
    if (wrong) element.setAttribute('aria-invalid', 'true')
    else element.removeAttribute('aria-invalid')
    const text = String(cell.getValue() ?? '')
    const beside = this.owner.beside(column.field, text)
    const shown = plain(this.owner.text(id, column.field, text))
    if (!beside) return shown
    const pale = plain(beside)
    pale.className = 'beside'
    const both = document.createElement('span')
    both.append(shown, pale)
    return both
  }

  private editor(cell: CellComponent, column: GridColumn, rendered: (f: () => void) => void, success: (text: string) => void, cancel: () => void): HTMLElement {
    const id = (cell.getData() as Shown).id
    const before = String(cell.getValue() ?? '')
    const input = document.createElement('input')
    const typing = this.pressed !== undefined // arrows leave the cell, as in a spreadsheet
    const unchanged = this.owner.text(id, column.field, before)
    input.value = this.pressed ?? unchanged
    this.pressed = undefined
    input.spellcheck = false
    input.autocapitalize = 'off'
    input.setAttribute('aria-label', column.title)
    if (column.choices.length > 0) input.setAttribute('list', 'choices-' + column.field)
    let over = false
    const end = (keep: boolean, move?: 'up' | 'down' | 'left' | 'right') => {
      if (over) return
      over = true
      if (keep && input.value !== unchanged) {
        success(input.value)
        this.owner.typed(id, column.field, input.value)
      } else cancel()
      if (move) this.move(move)
    }
    input.addEventListener('blur', () => end(true))
    input.addEventListener('keydown', (event) => {
      if (event.isComposing) return
      const step = stepOf(event, typing && column.choices.length === 0)
      event.stopPropagation()
      if (step === undefined) return
      event.preventDefault()
      end(step !== 'cancel', step === 'cancel' || step === 'stay' ? undefined : step)
    })
    rendered(() => {
      input.focus()
      if (typing) input.setSelectionRange(input.value.length, input.value.length)
      else input.select()
    })
    return input
  }

  private get ranges(): Ranges {
    return (this.table as unknown as { modules: { selectRange: Ranges } }).modules.selectRange
  }

  private get editing(): boolean {
    return this.element.classList.contains('tabulator-editing')
  }

  private shownColumns(): string[] {
    return this.table.getColumns().filter((column) => column.isVisible()).map((column) => column.getField() ?? '')
  }

  private shownIds(): number[] {
    return (this.table.getData('active') as Shown[]).map((row) => row.id)
  }

  // selection is what is marked; live columns are no part of it.
  selection(): Selection {
    const range = this.ranges.activeRange
    if (!range) return { ids: [], fields: [] }
    const fields = this.shownColumns().slice(range.left, range.right + 1)
    return { ids: this.shownIds().slice(range.top, range.bottom + 1), fields: fields.filter((field) => field !== '' && !this.isLive(field)) }
  }

  private isLive(field: string): boolean {
    return this.columns.find((column) => column.field === field)?.live ?? true
  }

  // below gives what is pasted over: the marked cells, or as many from the first of them on as there are.
  private below(rows: number, cells: number): Selection {
    const range = this.ranges.activeRange
    if (!range) return { ids: [], fields: [] }
    const single = rows === 1 && cells === 1
    const fields = this.shownColumns().slice(range.left, single ? range.right + 1 : range.left + cells).filter((field) => field !== '' && !this.isLive(field))
    return { ids: this.shownIds().slice(range.top, single ? range.bottom + 1 : range.top + rows), fields }
  }

  move(direction: 'up' | 'down' | 'left' | 'right'): void {
    this.ranges.navigate(false, false, direction)
    this.look()
  }

  // look finds out which cell is active and tells of it.
  private look(): void {
    if (this.gone) return
    const range = this.ranges.activeRange
    if (!range) return
    const field = this.shownColumns()[range.start.col ?? range.left] ?? ''
    const id = this.shownIds()[range.start.row ?? range.top] ?? 0
    if (id === this.current.id && field === this.current.field) return
    this.current = { id, field }
    this.owner.moved(id, field)
  }

  private readonly onFocus = () => {
    this.leaving = false
  }

  private readonly onKey = (event: KeyboardEvent) => {
    if (this.editing || event.isComposing || (event.target as HTMLElement).closest('input, select')) return
    const control = event.ctrlKey || event.metaKey
    const act = this.actOf(event, control)
    if (act === undefined) return
    event.stopPropagation()
    if (act === 'leave') return // the browser's own step to what follows
    event.preventDefault()
    act()
  }

  private actOf(event: KeyboardEvent, control: boolean): (() => void) | 'leave' | undefined {
    switch (event.key) {
      case 'Enter':
        return () => this.move(event.shiftKey ? 'up' : 'down')
      case 'F2':
        return () => this.edit()
      case 'Delete':
      case 'Backspace':
        return () => this.owner.cleared(this.selection())
      case 'Escape':
        return () => (this.leaving = true)
      case 'Tab':
        return this.leaving ? 'leave' : undefined
      case 'Process': // an input method begins to compose
        return () => this.edit('')
    }
    if (control) {
      const commands: Record<string, () => void> = {
        d: () => this.owner.filledDown(this.selection()),
        z: () => (event.shiftKey ? this.owner.redo() : this.owner.undo()),
        y: () => this.owner.redo(),
        f: () => this.owner.find(),
        a: () => this.selectAll(),
        '+': () => this.owner.insert(),
        '=': () => this.owner.insert(),
        '-': () => this.owner.remove(),
      }
      return event.altKey ? undefined : commands[event.key.toLowerCase()]
    }
    return event.key.length === 1 && !event.altKey ? () => this.edit(event.key) : undefined
  }

  private edit(key?: string): void {
    const { id, field } = this.current
    if (!id || this.isLive(field)) return
    this.pressed = key
    const row = this.table.getRow(id)
    if (row) (row.getCell(field) as CellComponent).edit()
    this.pressed = undefined
  }

  private selectAll(): void {
    const rows = this.table.getRows('active')
    const fields = this.shownColumns()
    const first = rows[0]?.getCell(fields[1] ?? '')
    const last = rows.at(-1)?.getCell(fields.at(-1) ?? '')
    if (first && last) this.table.getRanges()[0]?.setBounds(first, last)
  }

  private readonly onCopy = (event: ClipboardEvent) => {
    if (this.editing || !event.clipboardData) return
    const range = this.ranges.activeRange
    if (!range) return
    const fields = this.shownColumns().slice(range.left, range.right + 1).filter(Boolean)
    const rows = (this.table.getData('active') as Shown[]).slice(range.top, range.bottom + 1)
    event.clipboardData.setData('text/plain', writeTable(rows.map((row) => fields.map((field) => this.copied(row, field)))))
    event.preventDefault()
  }

  private copied(row: Shown, field: string): string {
    return this.isLive(field) ? this.owner.live(row.id, field).text : this.owner.text(row.id, field, String(row[field] ?? ''))
  }

  private readonly onCut = (event: ClipboardEvent) => {
    if (this.editing) return
    this.onCopy(event)
    this.owner.cleared(this.selection())
  }

  private readonly onPaste = (event: ClipboardEvent) => {
    if (this.editing || (event.target as HTMLElement).closest('input, select')) return
    event.preventDefault()
    const table = parseTable(event.clipboardData?.getData('text/plain') ?? '')
    if (table.length > 0) this.owner.pasted(this.below(table.length, Math.max(...table.map((row) => row.length))), table)
  }

  // fieldsFrom are the columns that are shown, from the active one on.
  fieldsFrom(): string[] {
    const range = this.ranges.activeRange
    return range ? this.shownColumns().slice(range.left).filter((field) => field !== '' && !this.isLive(field)) : []
  }

  // show brings the grid in line with what has changed.
  async show(touched: Touched, rows: Row[]): Promise<void> {
    await this.ready
    if (this.gone) return
    if (touched.structure || touched.ids.size > 200) {
      const range = this.ranges.activeRange
      const kept = range ? { row: range.top, field: this.shownColumns()[range.left] ?? '' } : undefined
      this.there = new Set(rows.map((row) => row.id))
      await this.table.replaceData(rows.map(shownOf))
      if (kept && !this.gone) this.selectAt(Math.min(kept.row, rows.length - 1), kept.field)
      return
    }
    for (const id of touched.ids) {
      const row = this.table.getRow(id)
      const from = rows.find((one) => one.id === id)
      if (row && from) void row.update(shownOf(from))
    }
  }

  // redraw draws these rows again, since what is said of them has changed; without any, all of them.
  redraw(ids?: Iterable<number>): void {
    if (this.gone) return
    if (!ids) {
      for (const row of this.table.getRows()) row.reformat()
      return
    }
    for (const id of ids) {
      const row = this.there.has(id) ? (this.table.getRow(id) as RowComponent | false) : false
      if (row) row.reformat()
    }
  }

  // tick writes what was read into the rows that can be seen.
  tick(): void {
    if (this.gone || this.editing) return
    for (const row of this.table.getRows('visible')) {
      for (const column of this.columns) {
        if (!column.live) continue
        const cell = row.getCell(column.field)
        if (!cell) continue
        const { text, bad } = this.owner.live((row.getData() as Shown).id, column.field)
        const element = cell.getElement()
        if (element.textContent !== text) element.replaceChildren(plain(text))
        element.classList.toggle('failing', bad)
      }
    }
  }

  // select goes to a cell and shows it.
  async select(id: number, field: string): Promise<void> {
    await this.ready
    const at = this.shownIds().indexOf(id)
    if (at >= 0 && !this.gone) this.selectAt(at, field)
  }

  private selectAt(at: number, field: string): void {
    const row = this.table.getRows('active')[at]
    const cell = row && (row.getCell(field) || row.getCell(this.shownColumns()[1] ?? ''))
    if (!row || !cell) return
    this.table.getRanges()[0]?.setBounds(cell, cell)
    void this.table.scrollToRow(row, 'nearest', false).catch(() => undefined)
    this.focus()
    this.look()
  }

  focus(): void {
    this.element.querySelector<HTMLElement>('.tabulator-tableholder')?.focus({ preventScroll: true })
  }

  // filter leaves the rows for which keep is true.
  filter(keep: ((row: Record<string, string | number>) => boolean) | undefined): void {
    if (keep) this.table.setFilter(keep as (data: unknown) => boolean)
    else this.table.clearFilter(true)
    this.look()
  }

  setVisible(field: string, visible: boolean): void {
    if (visible) this.table.showColumn(field)
    else this.table.hideColumn(field)
  }

  get shownRows(): number {
    return this.table.getDataCount('active')
  }
}

const shownOf = (row: Row): Shown => ({ ...row.cells, id: row.id })

// heading has what a column means as the browser's own hint.
function heading(column: GridColumn): HTMLElement {
  const title = plain(column.title)
  title.title = column.hint
  return title
}

function plain(text: string): HTMLElement {
  const span = document.createElement('span')
  span.className = 'shown'
  span.textContent = text
  return span
}

// stepOf says what a key means while a cell is edited; undefined: the field's own business.
function stepOf(event: KeyboardEvent, arrows: boolean): 'up' | 'down' | 'left' | 'right' | 'stay' | 'cancel' | undefined {
  switch (event.key) {
    case 'Enter':
      return event.shiftKey ? 'up' : 'down'
    case 'Tab':
      return event.shiftKey ? 'left' : 'right'
    case 'Escape':
      return 'cancel'
    case 'F2':
      return 'stay'
    case 'ArrowUp':
      return arrows ? 'up' : undefined
    case 'ArrowDown':
      return arrows ? 'down' : undefined
  }
  return undefined
}
