import { describe, expect, it } from 'vitest'

import { headingsOf, parseTable, writeTable } from './clipboard'

describe('a table from the clipboard', () => {
  it('is cells between tabs and rows between line ends of any system', () => {
    expect(parseTable('a\tb\r\nc\td\r\n')).toEqual([['a', 'b'], ['c', 'd']])
    expect(parseTable('a\tb\nc\td')).toEqual([['a', 'b'], ['c', 'd']])
    expect(parseTable('a\rb')).toEqual([['a'], ['b']])
    expect(parseTable('')).toEqual([])
    expect(parseTable('one')).toEqual([['one']])
  })

  it('keeps empty cells and empty rows', () => {
    expect(parseTable('a\t\tc\r\n\r\n\t\r\nx')).toEqual([['a', '', 'c'], [''], ['', ''], ['x']])
    expect(parseTable('a\t')).toEqual([['a', '']])
  })

  it('knows quotes around tabs, line ends and quotes', () => {
    expect(parseTable('"a\tb"\t"c\r\nd"\t"say ""hi"""')).toEqual([['a\tb', 'c\r\nd', 'say "hi"']])
    expect(parseTable('""\tx')).toEqual([['', 'x']])
  })

  it('takes a quote for itself where it encloses nothing', () => {
    expect(parseTable('3.5" pipe\t"open')).toEqual([['3.5" pipe', '"open']])
    expect(parseTable('"a"b\tc')).toEqual([['"a"b', 'c']])
    expect(parseTable('"never closed\nnext')).toEqual([['"never closed'], ['next']])
  })

  it('is read as it was written', () => {
    const rows = [['a', 'b\tc', '"q"'], ['', 'x\ny', '1" and 2"'], ['Zähler', '温度', '"']]
    expect(parseTable(writeTable(rows))).toEqual(rows)
  })

  it('of many thousand rows is taken apart at once', () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => [`p${i}`, `holding:${i}`, 'uint16', '"x"', '0.1'])
    const began = performance.now()
    expect(parseTable(writeTable(rows)).length).toBe(20_000)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})

describe('the first row', () => {
  const fieldOf = (heading: string) => ({ name: 'name', address: 'address', 名称: 'name', 'tag name': 'name', unit: 'unit' })[heading] ?? ''

  it('is headings when it names columns', () => {
    expect(headingsOf(['Tag Name', 'Address', 'Remark'], fieldOf)).toEqual(['name', 'address', ''])
    expect(headingsOf(['名称'], fieldOf)).toEqual(['name'])
  })

  it('is data otherwise', () => {
    expect(headingsOf(['temperature', 'holding:0'], fieldOf)).toBeUndefined()
    expect(headingsOf(['unit', 'holding:0', 'uint16'], fieldOf)).toBeUndefined()
    expect(headingsOf(['name', 'name'], fieldOf)).toBeUndefined()
  })
})
