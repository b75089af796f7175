// What several found devices add to a configuration, as one text.

// together puts the entries of each list below one key. An entry that comes twice, as the line does over
// which two devices were found, stands there once.
export function together(texts: string[]): string {
  const sections = new Map<string, string[]>()
  for (const text of texts) {
    let key = ''
    for (const line of text.split('\n').map((l) => l.trimEnd())) {
      if (line === '') continue
      const opens = /^[^\s#-]/.test(line)
      if (opens) key = line
      const lines = sections.get(key) ?? []
      sections.set(key, lines)
      if (!opens) lines.push(line)
    }
  }
  return [...sections].map(([key, lines]) => [key, ...new Set(entriesOf(lines))].filter(Boolean).join('\n') + '\n').join('')
}

// entriesOf cuts the lines of a list into its entries. A comment stands above what it speaks of.
function entriesOf(lines: string[]): string[] {
  const first = lines.find((line) => /^\s*- /.test(line))
  if (first === undefined) return lines.length > 0 ? [lines.join('\n')] : []
  const depth = first.indexOf('-')
  const entries: string[][] = []
  const comments: string[] = []
  for (const line of lines) {
    const begins = line.startsWith('- ', depth) && line.slice(0, depth).trim() === ''
    if (begins) entries.push([...comments.splice(0), line])
    else if (line.search(/\S/) <= depth && line.trimStart().startsWith('#')) comments.push(line)
    else entries.at(-1)?.push(line)
  }
  entries.at(-1)?.push(...comments)
  return entries.map((entry) => entry.join('\n'))
}
