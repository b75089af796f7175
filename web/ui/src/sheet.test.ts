import { describe, expect, it } from 'vitest'

import { Sheet } from './sheet'

const names = (sheet: Sheet) => sheet.rows.map((row) => row.cells['name'] ?? '')
const make = (...all: string[]) => new Sheet(all.map((name) => ({ name, type: 'uint16' })))
const ids = (sheet: Sheet) => sheet.rows.map((row) => row.id)

describe('a sheet', () => {
  it('takes a cell, undoes it and does it again', () => {
    const sheet = make('a', 'b')
    const [first = 0] = ids(sheet)
    expect(sheet.set([{ id: first, field: 'name', value: 'x' }]).ids).toEqual(new Set([first]))
    expect([names(sheet), sheet.changed]).toEqual([['x', 'b'], true])
    sheet.undo()
    expect([names(sheet), sheet.changed, sheet.canUndo]).toEqual([['a', 'b'], false, false])
    sheet.redo()
    expect(names(sheet)).toEqual(['x', 'b'])
    expect(sheet.undo() && sheet.undo()).toBeUndefined()
  })

  it('takes no step where nothing changes', () => {
    const sheet = make('a')
    sheet.set([{ id: ids(sheet)[0] ?? 0, field: 'name', value: 'a' }])
    sheet.remove([])
    expect(sheet.canUndo).toBe(false)
  })

  it('writes a table as one step and grows for it', () => {
    const sheet = make('a', 'b', 'c')
    const touched = sheet.write(ids(sheet).slice(1), ['name', 'type'], [['B', 'bool'], ['C', 'int16'], ['D', 'raw', 'beyond']])
    expect([names(sheet), touched.structure]).toEqual([['a', 'B', 'C', 'D'], true])
    expect(sheet.rows[3]?.cells).toEqual({ name: 'D', type: 'raw' })
    sheet.undo()
    expect([names(sheet), sheet.rows[1]?.cells['type']]).toEqual([['a', 'b', 'c'], 'uint16'])
    sheet.redo()
    expect(names(sheet)).toEqual(['a', 'B', 'C', 'D'])
  })

  it('fills a range with one cell, down and clears it', () => {
    const sheet = make('a', 'b', 'c')
    sheet.write(ids(sheet), ['name'], [['same']])
    expect(names(sheet)).toEqual(['same', 'same', 'same'])
    sheet.undo()
    sheet.fillDown(ids(sheet), ['name', 'type'])
    expect(names(sheet)).toEqual(['a', 'a', 'a'])
    sheet.clear(ids(sheet).slice(1), ['name'])
    expect(names(sheet)).toEqual(['a', '', ''])
    sheet.undo()
    sheet.undo()
    expect(names(sheet)).toEqual(['a', 'b', 'c'])
  })

  it('inserts and removes rows, and brings back what they held', () => {
    const sheet = make('a', 'b')
    const [first = 0, second = 0] = ids(sheet)
    const added = sheet.insert(first, [{ name: 'new' }])
    sheet.set([{ id: added.rows[0]?.id ?? 0, field: 'name', value: 'newer' }])
    sheet.remove([first, second])
    expect(names(sheet)).toEqual(['newer'])
    sheet.undo()
    expect(names(sheet)).toEqual(['a', 'newer', 'b'])
    sheet.undo()
    sheet.undo()
    expect(names(sheet)).toEqual(['a', 'b'])
    for (let i = 0; i < 3; i++) sheet.redo()
    expect(names(sheet)).toEqual(['newer'])
    sheet.insert(undefined, [{ name: 'last' }])
    expect(names(sheet)).toEqual(['newer', 'last'])
  })

  it('knows what was saved, also when steps go another way from there', () => {
    const sheet = make('a')
    const [id = 0] = ids(sheet)
    sheet.set([{ id, field: 'name', value: 'b' }])
    sheet.keep()
    expect(sheet.changed).toBe(false)
    sheet.undo()
    expect(sheet.changed).toBe(true)
    sheet.redo()
    expect(sheet.changed).toBe(false)
    sheet.undo()
    sheet.set([{ id, field: 'name', value: 'c' }])
    sheet.undo()
    expect(sheet.changed).toBe(true) // it is as before the step that was saved
  })

  it('comes back through many random steps', () => {
    const sheet = make('a', 'b', 'c', 'd')
    let seed = 7
    const random = (most: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most
    const states = [JSON.stringify(sheet.rows)]
    for (let i = 0; i < 400; i++) {
      const some = ids(sheet).filter(() => random(3) === 0)
      const was = sheet.canUndo ? states.length : states.length
      const before = JSON.stringify(sheet.rows)
      switch (random(5)) {
        case 0:
          sheet.set(some.map((id) => ({ id, field: 'name', value: String(random(100)) })))
          break
        case 1:
          sheet.insert(some[0], [{ name: String(i) }])
          break
        case 2:
          if (sheet.rows.length > 3) sheet.remove(some.slice(0, 2))
          break
        case 3:
          sheet.fillDown(some, ['name', 'type'])
          break
        default:
          sheet.write(some, ['name', 'type'], [[String(i), 'x'], [String(i + 1)]])
      }
      if (JSON.stringify(sheet.rows) !== before) states.push(JSON.stringify(sheet.rows))
      expect(states.length - was).toBeLessThanOrEqual(1)
    }
    for (let i = states.length - 2; i >= 0; i--) {
      sheet.undo()
      expect(JSON.parse(JSON.stringify(sheet.rows).replaceAll(/,"(name|type)":""|"(name|type)":"",?/g, ''))).toEqual(JSON.parse((states[i] ?? '').replaceAll(/,"(name|type)":""|"(name|type)":"",?/g, '')))
    }
    expect(sheet.canUndo).toBe(false)
  })
})
