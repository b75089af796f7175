// What the API says of searches for devices, and how the page shows it.

import type { Tone } from './verdict'
import type { Schemas } from './schemas'

export type Search = Schemas['Search']
export type FoundDevice = Schemas['FoundDevice']
export type Guess = Schemas['DeviceGuess']

// Offer is what a gateway has to choose from for a search.
export type Offer = Schemas['SearchOptions']
export type Protocol = Schemas['SearchProtocol']

// searchTone: a search that found nobody has not helped yet.
export function searchTone(search: Search): Tone {
  if (search.state === 'running') return 'busy'
  if (search.state === 'failed') return 'bad'
  return search.state === 'done' && search.found?.length ? 'good' : 'warn'
}

// share is the part that is done, in percent. What is left may grow: whoever answers is asked what it is.
export function share(search: Search): number {
  if (search.state === 'done') return 100
  return search.all > 0 ? Math.min(100, (100 * search.done) / search.all) : 0
}

// took is how long a search went on, in milliseconds.
export function took(search: Search): number {
  return search.ended ? Date.parse(search.ended) - Date.parse(search.started) : 0
}

// busOf is the name of the configured line that was searched; undefined: it was no such line.
export function busOf(search: Search): string | undefined {
  return search.place.startsWith('bus://') ? search.place.slice('bus://'.length) : undefined
}

// placeName writes a place as people call it.
export function placeName(place: string): string {
  return place.replace(/^bus:\/\//, '')
}

// titleOf is how a protocol is called.
export function titleOf(protocol: string, offer: Offer | undefined): string {
  return offer?.protocols?.find((p) => p.name === protocol)?.title ?? protocol
}

// byUnit says whether devices are told apart by a unit number; others have a meter number.
export function byUnit(protocol: string): boolean {
  return protocol.startsWith('modbus')
}

// probable says whether a guess is good enough for the configuration: the gateway writes the profile into it
// from the same score on.
export const probable = (guess: Guess) => guess.score >= 0.7

// guessesOf has the most likely profile first.
export function guessesOf(found: FoundDevice): Guess[] {
  return [...(found.guesses ?? [])].sort((a, b) => b.score - a.score)
}
