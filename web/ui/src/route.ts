import { computed, ref } from 'vue'

// Where the page is: the part of the address behind #, so that a link leads to what it shows and the
// browser's back button works.

// The parts of the page as the navigation shows them, each with its views: the first is where the
// navigation leads, the others are its tabs.
export const areas = {
  overview: ['overview'],
  devices: ['devices', 'profiles'],
  buses: ['buses', 'find'],
  messages: ['messages', 'tail', 'publish', 'topics', 'groups', 'dead', 'connections'],
  alarms: ['alarms', 'rules'],
  trends: ['trends'],
  uplinks: ['uplinks'],
  system: ['system', 'network', 'configuration', 'users', 'certificates', 'logs', 'audit', 'backup', 'firmware'],
} as const
// Views that are led to from elsewhere, and the part that they belong to.
const beside = { aside: 'uplinks', add: 'devices', points: 'devices', import: 'devices', setup: 'overview' } as const

export type Area = keyof typeof areas
export type View = (typeof areas)[Area][number] | keyof typeof beside

const areaOfView = new Map<View, Area>([
  ...Object.entries(areas).flatMap(([area, views]) => views.map((view) => [view, area] as [View, Area])),
  ...(Object.entries(beside) as [View, Area][]),
])

// views are all of them.
export const views: readonly View[] = [...areaOfView.keys()]

// areaOf is the part of the page that a view belongs to.
export const areaOf = (view: View): Area => areaOfView.get(view) ?? 'overview'

export interface Place {
  view: View
  name: string // of the topic, group, device or other thing that is shown; empty: the list
  query: URLSearchParams
}

// placeOf reads an address; what is unknown is the overview.
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [first = '', ...rest] = path.split('/')
  const view = first as View
  return { view: areaOfView.has(view) ? view : 'overview', name: decoded(rest.join('/')), query: new URLSearchParams(query) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // an address that somebody wrote by hand
  }
}

// addressOf writes the address of a place; what is empty is left out.
export function addressOf(view: View, name = '', query: Record<string, string> = {}): string {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString()
  return `#/${view === 'overview' ? '' : view}${name ? '/' + encodeURIComponent(name) : ''}${given ? '?' + given : ''}`
}

const hash = ref(typeof location === 'undefined' ? '' : location.hash)
if (typeof window !== 'undefined') window.addEventListener('hashchange', follow)

// A view with unsaved work may hold the page: it is asked before another view takes its place.
let holder: ((wanted: string) => void) | undefined

// hold lets ask decide what becomes of a step to another view; it gives back how to let go.
export function hold(ask: (wanted: string) => void): () => void {
  holder = ask
  return () => {
    if (holder === ask) holder = undefined
  }
}

function follow(): void {
  const wanted = location.hash
  if (holder && wanted !== hash.value) {
    window.history.replaceState(null, '', hash.value || '#/')
    holder(wanted)
    return
  }
  hash.value = wanted
}

export const place = computed(() => placeOf(hash.value))

// go takes a step. The page follows at once: the browser tells of it a moment later, and when somebody
// has gone back by then, tells of nothing that has changed.
export function go(address: string): void {
  if (holder && address !== hash.value) {
    holder(address)
    return
  }
  location.hash = address
  hash.value = location.hash
}

// swap changes the address without a step for the back button.
export function swap(address: string): void {
  window.history.replaceState(null, '', address)
  hash.value = location.hash
}
