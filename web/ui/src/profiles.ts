// The models of devices that the gateway knows.

import type { Schemas } from './schemas'

export type Profile = Schemas['Profile']

// matching finds the profiles in which every word of a search occurs, in either language.
export function matching(profiles: Profile[], search: string): Profile[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== '')
  return profiles.filter((profile) => {
    const { name, kind, category, title, vendor, summary } = profile
    const text = [name, kind, category, title, vendor, summary.en, summary.zh].join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

// linked takes a source apart: where it leads to, if anywhere, and what else is said of it. Whatever
// leads to no web page is text.
export function linked(source: string): { address?: string; text: string } {
  const [, before = '', address = '', after = ''] = /^(.*?)(https?:\/\/[^\s<>"]+)(.*)$/.exec(source) ?? []
  if (address === '') return { text: source }
  return { address, text: `${before} ${after}`.trim() }
}
