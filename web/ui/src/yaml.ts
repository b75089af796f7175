// What several found devices add to a configuration, as one text.

// together puts the entries of each list below one key. An entry that comes twice, as the line does over
// which two devices were found, stands there once.
export function together(texts: string[]): string {
  const all = new Map<string, string[]>()
  const seen = new Set<string>()
  for (const { key, entries } of texts.flatMap(sectionsOf)) {
    const there = all.get(key) ?? []
    all.set(key, there)
    for (const entry of entries) {
      if (!seen.has(key + entry)) there.push(beside(there, entry, key))
      seen.add(key + entry)
    }
  }
  return [...all].map(([key, entries]) => [key, ...entries].filter(Boolean).join('\n') + '\n').join('')
}

interface Section {
  key: string // with its colon; empty: a list without one
  entries: string[]
}

// sectionsOf cuts one text into its lists. What is said above a list is said of its first entry.
function sectionsOf(text: string): Section[] {
  const sections: { key: string; said: string[]; lines: string[] }[] = []
  let said: string[] = []
  for (const line of text.split('\n').map((l) => l.trimEnd())) {
    if (line === '') continue
    const last = sections.at(-1)
    if (line.startsWith('#')) said.push(line)
    else if (/^[^\s-]/.test(line)) {
      sections.push({ key: line, said, lines: [] })
      said = []
    } else if (last) last.lines.push(line)
    else sections.push({ key: '', said: said.splice(0), lines: [line] })
  }
  return sections.map(({ key, said, lines }) => ({ key, entries: entriesOf(said, lines) }))
}

// entriesOf cuts the lines of a list into its entries. A comment stands above what it speaks of.
function entriesOf(said: string[], lines: string[]): string[] {
  const depth = lines.find((line) => /^\s*- /.test(line))?.indexOf('-')
  if (depth === undefined) return [[...said, ...lines].join('\n')].filter(Boolean)
  const entries: string[][] = []
  const comments = said.map((comment) => ' '.repeat(depth) + comment)
  for (const line of lines) {
    const at = line.search(/\S/)
    if (at === depth && line.startsWith('- ', at)) entries.push([...comments.splice(0), line])
    else if (at <= depth && line.startsWith('#', at)) comments.push(line)
    else entries.at(-1)?.push(line)
  }
  entries.at(-1)?.push(...comments)
  return entries.map((entry) => entry.join('\n'))
}

const named = /^(\s*- (?:\{ *)?name: *)("[^"]*"|[^\s,}]+)/m

// beside makes an entry fit to stand beside others of which one may have its name: a second device gets a
// number, a second description of a line is left to the reader to decide about.
function beside(entries: string[], entry: string, key: string): string {
  const taken = new Set(entries.map((other) => named.exec(other)?.[2]))
  const name = named.exec(entry)?.[2]
  if (name === undefined || !taken.has(name)) return entry
  if (key !== 'devices:') return entry.replace(/^(\s*)(?=\S)/gm, '$1# or: ')
  let n = 2
  while (taken.has(`${name}-${n}`)) n++
  return entry.replace(named, `$1${name}-${n}`)
}
