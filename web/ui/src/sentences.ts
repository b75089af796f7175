// The gateway speaks English. A catalogue gives each of its sentences, as the format that the gateway
// has it in ("no answer from %s within %s"), in another language; here what was made of a format is
// recognised again. What the gateway put in is kept, but for what are sentences themselves: an error
// within an error.

export type Catalogue = Readonly<Record<string, string>>

// Translate gives a text in the other language, or as it is.
export type Translate = (text: string) => string

const verbs = /%(?:\[(\d+)\])?[-+# 0-9.*]*([a-zA-Z%])/g
const kept = 2000 // texts whose translation is remembered
const longest = 4000 // characters of a text that is looked at
const beyond = /[\u3000-\u9fff\uff00-\uffef]/ // Chinese signs
const weak = 8 // letters below which a format alone does not tell a sentence
const several = /[:;] / // sentences one behind the other

interface Rule {
  english: string
  chinese: string
  letters: number // how much of it is sure
  signs: number // with blanks and marks
  pattern?: RegExp
  spoken: boolean[] // whether a part may be a sentence itself
  order: number[] // of the parts, as the placeholders of the format have them
}

// translator knows the sentences of a catalogue.
export function translator(catalogue: Catalogue): Translate {
  const whole = new Map<string, string>()
  const byHead = new Map<string, Rule[]>() // by the first word, which most formats begin with
  const anywhere: Rule[] = []
  const sorted = new Map<string, Rule[]>()
  const known = new Map<string, string>()

  for (const [english, chinese] of Object.entries(catalogue)) {
    if (!/%[^%]/.test(english)) whole.set(english.replaceAll('%%', '%'), chinese.replaceAll('%%', '%'))
    const rest = restOf(english, chinese)
    if (rest && !/%[^%]/.test(rest[0]) && !(rest[0] in catalogue)) whole.set(rest[0], rest[1])
    for (const rule of [...rulesOf(english, chinese), ...(rest && /%[^%]/.test(rest[0]) ? [ruleOf(...rest)] : [])]) {
      const head = headOf(rule.english)
      const own = head === undefined ? anywhere : byHead.get(head)
      if (own) own.push(rule)
      else byHead.set(head ?? '', [rule])
    }
  }

  // The longest goes first: "%s: %w" fits nearly everything.
  const rulesFor = (text: string): Rule[] => {
    const head = text.split(' ', 1)[0] ?? ''
    const own = byHead.get(head)
    const name = own ? head : ''
    let rules = sorted.get(name)
    if (!rules) {
      rules = [...(own ?? []), ...anywhere].sort((a, b) => b.letters - a.letters || b.signs - a.signs)
      sorted.set(name, rules)
    }
    return rules
  }

  const filled = (rule: Rule, text: string): string | undefined => {
    if (rule.letters < weak && several.test(text) && !several.test(rule.english)) return undefined
    rule.pattern ??= patternOf(rule.english)
    const found = rule.pattern.exec(text)
    if (!found) return undefined
    const parts: string[] = []
    for (let i = 0; i < rule.order.length; i++) {
      const part = found[i + 1] ?? ''
      const said = rule.spoken[i] ? translate(part) : part
      if (rule.letters < weak && said === part && rule.spoken[i] && words(part) > 1) return undefined
      parts[rule.order[i] ?? i] = said
    }
    return fill(rule.chinese, parts)
  }

  const find = (text: string): string => {
    const colon = text.indexOf(': ')
    const before = text.slice(0, Math.max(colon, 0))
    const first = whole.get(before)
    for (const rule of rulesFor(text)) {
      if (first !== undefined && rule.letters <= lettersOf(before)) break
      const found = filled(rule, text)
      if (found !== undefined) return found
    }
    if (first !== undefined) return first + '：' + translate(text.slice(colon + 2))
    if (beyond.test(text.charAt(0))) return quoting(text)
    return joined(text, '\n', '\n') ?? bracketed(text, 1) ?? joined(text, ': ', '：') ?? joined(text, '; ', '；') ?? bracketed(text, 0) ?? chosen(text) ?? listed(text) ?? quoting(text)
  }

  // bracketed is what a library said, behind what it means.
  const bracketed = (text: string, least: number): string | undefined => {
    const [, before, within] = /^(.+?) \(([^()]+)\)$/s.exec(text) ?? []
    if (before === undefined || within === undefined || words(within) < least) return undefined
    const said = [translate(before), translate(within)]
    return said[0] !== before || said[1] !== within ? `${said[0]}（${said[1]}）` : undefined
  }

  // chosen is what is possible: none, tls or starttls.
  const chosen = (text: string): string | undefined => (/^[^ ,]+(?:, [^ ,]+)* or [^ ,]+$/.test(text) ? text.replaceAll(', ', '、').replace(' or ', ' 或 ') : undefined)

  // quoting is a sentence of the other language with one of the gateway's within.
  const quoting = (text: string): string => (beyond.test(text) ? text.replace(/[\x20-\x7e]{8,}/g, translate) : text)

  // joined are sentences that were put one behind the other.
  const joined = (text: string, mark: string, own: string): string | undefined => {
    const at = text.indexOf(mark)
    if (at < 0) return undefined
    const parts = [text.slice(0, at), text.slice(at + mark.length)]
    const said = parts.map(translate)
    return said.some((part, i) => part !== parts[i]) ? said.join(own) : undefined
  }

  const listed = (text: string): string | undefined => {
    const parts = text.split(', ')
    if (parts.length < 2) return undefined
    const said = parts.map(translate)
    if (said.every((part, i) => part === parts[i]) || said.some((part, i) => part === parts[i] && words(part) > 2)) return undefined
    return said.join('，')
  }

  const translate = (text: string): string => {
    const exact = whole.get(text)
    if (exact !== undefined) return exact
    if (!/[a-z]{2}/.test(text) || text.length > longest) return text
    const before = known.get(text)
    if (before !== undefined) return before
    const found = find(text)
    if (known.size >= kept) known.clear()
    known.set(text, found)
    return found
  }
  return translate
}

// rulesOf gives what a format fits. One that begins or ends with a mark is a piece that is put behind or
// before something.
function rulesOf(english: string, chinese: string): Rule[] {
  const rules = /%[^%]/.test(english) ? [ruleOf(english, chinese)] : []
  if (/^[,;:( ]/.test(english)) {
    rules.push(ruleOf('%v' + english, '%v' + shifted(chinese, 1)))
    if (/^[,;:] .*%/.test(english)) rules.push(ruleOf(english.slice(2), chinese.slice(1)))
  }
  if (/[: ]$/.test(english)) rules.push(ruleOf(english + '%v', chinese + '%v'))
  return rules
}

// restOf is what a format says behind the error that it goes on from, which may stand there by itself once
// that error has been recognised.
function restOf(english: string, chinese: string): [string, string] | undefined {
  const mark = /^%[wsv]: /.test(english) && chinese.startsWith('%s：') && !chinese.includes('%[')
  return mark ? [english.slice(4), chinese.slice(3)] : undefined
}

// shifted makes room for placeholders before those that are named by their number.
function shifted(format: string, by: number): string {
  return format.replace(/%\[(\d+)\]/g, (_, n: string) => `%[${Number(n) + by}]`)
}

function ruleOf(english: string, chinese: string): Rule {
  const spoken: boolean[] = []
  const order: number[] = []
  let next = 0
  for (const [, number, verb] of english.matchAll(verbs)) {
    if (verb === '%') continue
    if (number) next = Number(number) - 1
    spoken.push('svw'.includes(verb ?? ''))
    order.push(next++)
  }
  const sure = english.replace(verbs, '')
  return { english, chinese, letters: lettersOf(sure), signs: sure.length, spoken, order }
}

function headOf(english: string): string | undefined {
  const head = english.split(' ', 1)[0] ?? ''
  return head === '' || head.includes('%') || head === english ? undefined : head
}

function patternOf(english: string): RegExp {
  let pattern = ''
  let at = 0
  for (const found of english.matchAll(verbs)) {
    pattern += escaped(english.slice(at, found.index)) + partOf(found[2] ?? '')
    at = found.index + found[0].length
  }
  return new RegExp('^' + pattern + escaped(english.slice(at)) + '$')
}

function partOf(verb: string): string {
  switch (verb) {
    case '%':
      return '%'
    case 'd':
      return String.raw`(-?\d+|\[[-\d ]*\])`
    case 'q':
      return String.raw`("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)+'|\[(?:"(?:[^"\\]|\\.)*" ?)*\])`
    case 'x':
    case 'X':
      return String.raw`((?:0[xX])?[0-9a-fA-F]*(?: [0-9a-fA-F]+)*)`
  }
  return String.raw`([\s\S]*?)`
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

function fill(format: string, parts: string[]): string {
  let next = 0
  return format.replace(verbs, (_, number: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (number) next = Number(number) - 1
    return parts[next++] ?? ''
  })
}

const lettersOf = (text: string) => text.replace(/[^a-zA-Z]/g, '').length

// words counts what may well mean something together, unlike names, values, addresses and topics.
const words = (text: string) => text.split(' ').filter((word) => /^[("']*[a-z]{2,}[)"',.;:!?]*$/.test(word)).length
