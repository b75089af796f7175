// Tables as spreadsheets put them on the clipboard: cells between tabs, rows between line ends, what has
// either of them within quotes.

// parseTable takes a table apart. A quote counts only at the beginning of a cell, as in Excel.
export function parseTable(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let at = 0
  while (at < text.length) {
    let cell = ''
    if (text[at] === '"' && closing(text, at) > 0) {
      const end = closing(text, at)
      cell = text.slice(at + 1, end).replaceAll('""', '"')
      at = end + 1
    } else {
      const end = endOf(text, at)
      cell = text.slice(at, end)
      at = end
    }
    row.push(cell)
    if (text[at] === '\t') {
      at++
      if (at < text.length) continue
      row.push('')
    }
    if (text[at] === '\r') at++
    if (text[at] === '\n') at++
    rows.push(row)
    row = []
  }
  return rows
}

// endOf is where a cell without quotes ends.
function endOf(text: string, at: number): number {
  while (at < text.length && text[at] !== '\t' && text[at] !== '\n' && text[at] !== '\r') at++
  return at
}

// closing finds the quote that ends a cell; 0: there is none that a cell could end with.
function closing(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] !== '"') continue
    if (text[at + 1] === '"') at++
    else return at + 1 === text.length || '\t\r\n'.includes(text[at + 1] ?? '') ? at : 0
  }
  return 0
}

// writeTable is what parseTable reads.
export function writeTable(rows: string[][]): string {
  return rows.map((row) => row.map((cell) => (/[\t\r\n]/.test(cell) || cell.startsWith('"') ? `"${cell.replaceAll('"', '""')}"` : cell)).join('\t')).join('\r\n')
}

// headingsOf finds out whether the first row of a table names its columns: at least two cells of it, or all
// of them, are names of fields and no name is there twice. It gives the field of each column, '' for what
// is none; undefined: the row is data.
export function headingsOf(row: string[], fieldOf: (heading: string) => string): string[] | undefined {
  const fields = row.map((cell) => fieldOf(cell.trim().toLowerCase()))
  const known = fields.filter(Boolean)
  if (known.length === 0 || new Set(known).size < known.length) return undefined
  return known.length >= 2 || known.length === row.filter((cell) => cell.trim()).length ? fields : undefined
}
