// The gateway's API. The session is a cookie that scripts cannot read; the header that every request
// carries proves to the gateway that its own page sent it.

import type { Bus, BusFrame } from './buses'
import type { Wanted } from './choice'
import { queryOf, type Imported, type PointProblem, type Reading } from './importing'
import type { AsidePage, Directory, Found, Group, Message, Reset, Resent, Topic, TopicDetail } from './messages'
import type { Plan } from './plan'
import type { Profile } from './profiles'
import type { Registers } from './registers'
import { nameFrom } from './save'
import type { Offer, Search } from './searches'
import type { Schemas } from './schemas'

export type Identity = Schemas['Identity']

// Problem is a refusal of the gateway [RFC 9457].
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly field: string | undefined,
    readonly retryAfter: number | undefined, // seconds
    readonly problems: Schemas['SectionProblem'][] = [], // all that is wrong with a configuration
  ) {
    super(detail)
  }
}

const patience = 8000 // milliseconds for an answer

export async function call<T>(method: string, path: string, body?: unknown, wait = patience, headers: Record<string, string> = {}): Promise<T> {
  const response = await fetch('/api/v1' + path, {
    method,
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    signal: AbortSignal.timeout(wait),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw await problem(response)
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T)
}

async function problem(response: Response): Promise<Problem> {
  const retry = Number(response.headers.get('Retry-After')) || undefined
  try {
    const body = (await response.json()) as Partial<Schemas['Problem']>
    return new Problem(response.status, body.detail ?? body.title ?? response.statusText, body.field, retry, body.problems)
  } catch {
    return new Problem(response.status, response.statusText, undefined, retry)
  }
}

export const whoAmI = () => call<Identity>('GET', '/session')
export const signIn = (user: string, password: string) => call<Identity>('POST', '/session', { user, password })
export const signOut = () => call<void>('DELETE', '/session')
export const setUp = (code: string, password: string) => call<Identity>('POST', '/setup', { code, password })
export const setLine = (up: boolean) => call<{ up: boolean }>('PUT', '/demo/line', { up })
// A name has slashes, which may stay, and #, which may not.
export const dropCursor = (name: string) => call<void>('DELETE', '/log/cursors/' + encodeURIComponent(name))
export const topics = (search: string, internal: boolean, next: string, limit: number) =>
  call<Directory<Topic>>('GET', '/topics' + query({ search, internal: internal ? '' : 'false', next, limit }))
export const topic = (name: string) => call<TopicDetail>('GET', '/topics/' + encodeURIComponent(name))
export const groups = (search: string, order: string, next: string, limit: number) =>
  call<Directory<Group>>('GET', '/groups' + query({ search, order, next, limit }))
export const group = (name: string) => call<Group>('GET', '/groups/' + encodeURIComponent(name))
export const messages = (wanted: Record<string, string | number>) => call<Found>('GET', '/messages' + query(wanted))
export const message = (position: number) => call<Message>('GET', '/messages/' + position)
export const resend = (position: number, group: string) => call<Resent>('POST', `/messages/${position}/resend`, group ? { group } : {})
export const reset = (group: string, topic: string, to: string) =>
  call<{ items: Reset[] }>('POST', `/groups/${encodeURIComponent(group)}/reset`, { topic, to })
export const aside = (uplink: string, next: number, limit: number) => call<AsidePage>('GET', `/uplinks/${encodeURIComponent(uplink)}/aside` + query({ next: next || '', limit }))

// The points of devices, and the models that are known of them.
const turn = 25_000 // milliseconds until a device has had its turn and answered
export const plan = (device: string) => call<Plan>('GET', '/devices/plan' + query({ device }))
export const registers = (device: string, area: string, address: number, count: number) => call<Registers>('POST', '/registers', { device, area, address, count }, turn)
export const meanings = (words: string[]) => call<Registers>('POST', '/registers', { words })
export const exported = (device: string, format: string) => file('/devices/points' + query({ device, format }), device)
export const unexported = (device: string, format: string) => call<{ problems: PointProblem[] }>('GET', '/devices/points' + query({ device, format, problems: 'true' }))
export const deviceFile = (device: string) => file('/devices/file' + query({ device }), device + '.yaml')
export const profiles = () => call<{ items: Profile[] }>('GET', '/profiles')
export const profileFile = async (name: string) => (await fetched('GET', '/profiles/file' + query({ name }))).text()
export const importPoints = async (table: Blob, how: Reading) => (await (await fetched('POST', '/points/import' + queryOf(how), table)).json()) as Imported

// file fetches what is to be saved, under the name that the gateway gives it.
export async function file(path: string, otherwise: string): Promise<{ name: string; content: Blob }> {
  const response = await fetched('GET', path)
  return { name: nameFrom(response.headers.get('Content-Disposition'), otherwise), content: await response.blob() }
}

// fetched sends a file as it is and gives the answer as it comes. Either may take long over a slow line.
export async function fetched(method: string, path: string, body?: Blob): Promise<Response> {
  const response = await fetch('/api/v1' + path, {
    method,
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', ...(body ? { 'Content-Type': 'application/octet-stream' } : {}) },
    signal: AbortSignal.timeout(10 * patience),
    ...(body ? { body } : {}),
  })
  if (!response.ok) throw await problem(response)
  return response
}

export const buses = () => call<{ items: Bus[] }>('GET', '/buses')
export const busFrames = (bus: string, after: number) => call<{ items: BusFrame[] }>('GET', '/buses/frames' + query({ bus, after: after || '' }))
export const captureAddress = (bus: string) => '/api/v1/buses/capture' + query({ bus })
export const searches = () => call<{ items: Search[] }>('GET', '/searches')
export const search = (id: string) => call<Search>('GET', '/searches/' + encodeURIComponent(id))
export const searchOffer = () => call<Offer>('GET', '/searches/options')
export const startSearch = (wanted: Wanted) => call<Search>('POST', '/searches', wanted)
// A search that runs is cancelled; one that has ended is forgotten.
export const endSearch = (id: string) => call<void>('DELETE', '/searches/' + encodeURIComponent(id))
export const events = (points: string) => new EventSource('/api/v1/events' + query({ points: points === 'all' ? '' : points }))

export type TestStep = Schemas['TestStep']
export type TestResult = Schemas['TestResult']

// testUplink hands over each step as it ends. It takes as long as the cloud does.
export const testUplink = (name: string, signal: AbortSignal, heard: (step: TestStep) => void) => tested(`/uplinks/${encodeURIComponent(name)}/test`, undefined, signal, heard)

// trySection tests an uplink that is not configured yet.
export const trySection = (uplink: Record<string, unknown>, signal: AbortSignal, heard: (step: TestStep) => void) => tested('/uplinks/test', { uplink }, signal, heard)

async function tested(path: string, body: unknown, signal: AbortSignal, heard: (step: TestStep) => void): Promise<TestResult> {
  const response = await fetch('/api/v1' + path, {
    method: 'POST',
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok || !response.body) throw await problem(response)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) throw new Error('the test was cut off')
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const said = JSON.parse(line) as TestStep | TestResult
      if ('ok' in said) return said
      heard(said)
    }
  }
}

// query writes what has a value.
export function query(values: Record<string, string | number>): string {
  const given = Object.entries(values).filter(([, value]) => value !== '')
  return given.length > 0 ? '?' + new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString() : ''
}
