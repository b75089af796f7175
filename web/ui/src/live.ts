import { reactive, shallowRef, watchEffect } from 'vue'

import * as api from './api'
import { History } from './history'
import { roleOf, type Role } from './role'
import { place } from './route'
import { pointsFor, type Status } from './status'

// What the page shows: nothing yet, one of the two doors, or the gateway.
export type Phase = 'starting' | 'setup' | 'signin' | 'live'

export const page = reactive({
  phase: 'starting' as Phase,
  user: '',
  role: 'viewer' as Role,
  // The same as mayAdminister() in role.ts.
  get administrator(): boolean {
    return this.role === 'administrator'
  },
  expired: false, // the session ended by itself
  lostAt: 0, // browser's clock when the gateway was last heard, 0 while it is heard
})

export const status = shallowRef<Status>()
export const history = new History()

// typed is the password of the last sign-in, until the first run has seen whether another is wanted in its place.
export const typed = { password: '' }

const silence = 5000 // an event comes each second; after this the line is taken for dead
const again = 1500 // until the next try

let source: EventSource | undefined
let watchdog = 0
let heard = 0

// begin finds out who we are, and keeps asking while the gateway cannot be reached.
export async function begin(): Promise<void> {
  stop()
  try {
    const who = await api.whoAmI()
    if (who.signed_in) {
      page.user = who.user ?? ''
      page.role = roleOf(who.role)
      page.phase = 'live'
      watch()
      return
    }
    page.expired = page.phase === 'live'
    page.lostAt = 0
    status.value = undefined
    page.phase = who.setup_needed ? 'setup' : 'signin'
  } catch {
    lose()
  }
}

export async function signIn(user: string, password: string): Promise<void> {
  await api.signIn(user, password)
  typed.password = password
  page.expired = false
  await begin()
}

export async function setUp(code: string, password: string): Promise<void> {
  await api.setUp(code, password)
  await begin()
}

export async function signOut(): Promise<void> {
  stop()
  try {
    await api.signOut()
  } catch (error) {
    if (!(error instanceof api.Problem && error.status === 401)) {
      lose() // the gateway could not be told: the session lives on
      return
    }
  }
  page.phase = 'signin'
  page.expired = false
  page.lostAt = 0
  status.value = undefined
}

// Which devices' points the gateway tells: those that the place shows.
let told = ''

function watch(): void {
  told = pointsFor(place.value, status.value)
  source = api.events(told)
  source.addEventListener('status', (event) => {
    const now = JSON.parse(event.data as string) as Status
    heard = Date.now()
    page.lostAt = 0
    history.add(now, heard / 1000)
    status.value = now
    expectMore()
    follow()
  })
  source.addEventListener('error', lose)
  expectMore()
}

// follow asks anew when what is shown needs the points of others. What is known stays until then.
function follow(): void {
  if (!source || pointsFor(place.value, status.value) === told) return
  source.close()
  watch()
}

watchEffect(follow)

function expectMore(): void {
  clearTimeout(watchdog)
  watchdog = window.setTimeout(lose, silence)
}

// lose says since when nothing was heard and tries again: the gateway may be starting anew, or our
// session may have ended with it.
function lose(): void {
  stop()
  if (page.lostAt === 0) page.lostAt = heard || Date.now()
  watchdog = window.setTimeout(() => void begin(), again)
}

function stop(): void {
  clearTimeout(watchdog)
  source?.close()
  source = undefined
}
