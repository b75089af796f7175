// The gateway's API. The session is a cookie that scripts cannot read; the header that every request
// carries proves to the gateway that its own page sent it.

export interface Identity {
  signed_in: boolean
  user?: string
  role?: string
  setup_needed: boolean
}

// Problem is a refusal of the gateway [RFC 9457].
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly field: string | undefined,
    readonly retryAfter: number | undefined, // seconds
  ) {
    super(detail)
  }
}

const patience = 8000 // milliseconds for an answer

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch('/api/v1' + path, {
    method,
    cache: 'no-store',
    headers: { 'X-Requested-With': 'sluice', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    signal: AbortSignal.timeout(patience),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw await problem(response)
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T)
}

async function problem(response: Response): Promise<Problem> {
  const retry = Number(response.headers.get('Retry-After')) || undefined
  try {
    const body = (await response.json()) as { title?: string; detail?: string; field?: string }
    return new Problem(response.status, body.detail ?? body.title ?? response.statusText, body.field, retry)
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
export const events = () => new EventSource('/api/v1/events')
