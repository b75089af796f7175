// The models of devices that the gateway knows.

import { said, type Said } from './said'

export interface Profile {
  name: string
  kind: string
  driver?: string
  title: Said
  vendor: string
  points: number
  sources?: string[]
}

// matching finds the profiles in which every word of a search occurs.
export function matching(profiles: Profile[], search: string, language: string): Profile[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== '')
  return profiles.filter((profile) => {
    const text = [profile.name, profile.vendor, profile.kind, profile.driver ?? '', said(profile.title, language)].join(' ').toLowerCase()
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
