import { computed, ref } from 'vue'

// Where the page is: the part of the address behind #, so that a link leads to what it shows and the
// browser's back button works.

export const views = ['overview', 'buses', 'messages', 'topics', 'groups', 'connections'] as const
// What the navigation leads to, and what is led to from elsewhere.
const beside = ['aside', 'find', 'devices', 'import', 'profiles'] as const
export type View = (typeof views)[number] | (typeof beside)[number]

export interface Place {
  view: View
  name: string // of the topic, group, device or other thing that is shown; empty: the list
  query: URLSearchParams
}

// placeOf reads an address; what is unknown is the overview.
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [first = '', ...rest] = path.split('/')
  const view = [...views, ...beside].find((v) => v === first) ?? 'overview'
  return { view, name: decoded(rest.join('/')), query: new URLSearchParams(query) }
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
if (typeof window !== 'undefined') window.addEventListener('hashchange', () => (hash.value = location.hash))

export const place = computed(() => placeOf(hash.value))

// go takes a step. The page follows at once: the browser tells of it a moment later, and when somebody
// has gone back by then, tells of nothing that has changed.
export function go(address: string): void {
  location.hash = address
  hash.value = location.hash
}

// swap changes the address without a step for the back button.
export function swap(address: string): void {
  window.history.replaceState(null, '', address)
  hash.value = location.hash
}
