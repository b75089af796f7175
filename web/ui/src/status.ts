// The answer of GET /api/v1/status, as web/openapi describes it.

export interface Status {
  gateway: string
  version: string
  started: string
  time: string
  devices: Device[]
  uplinks: Uplink[]
  abandoned: Abandoned[]
  log: Log
  mqtt: Mqtt
  rocketmq?: RocketMq
  demo?: Demo
}

export interface Device {
  name: string
  driver: string
  address: string
  state: string
  since: string
  last_error?: string
  polls: number
  failures: number
  readings: number
  seq: number
  last_poll?: string
  points: Point[]
}

export type Scalar = number | string | boolean | null

export interface Point {
  name: string
  unit?: string
  value: Scalar
  error?: string
}

export interface Uplink {
  name: string
  driver: string
  address: string
  state: string
  since: string
  last_error?: string
  tries: number
  failed: number
  next_try?: string
  backlog: number
  backlog_bytes: number
  oldest?: string
  in_flight: number
  sent: number
  repeated: number
  set_aside: number
  stalls: number
  looped: number
  rate: number
  drain_seconds?: number
  routes: Route[]
}

export interface Route {
  from: string
  to: string
  order: string
  bytes: number
  lanes: Lane[]
}

export interface Lane {
  name: string
  backlog: number
  paused_until?: string
}

export interface Abandoned {
  uplink: string
  from: string
  gone: boolean
  cursor: string
  messages: number
  bytes: number
  oldest?: string
}

export interface Log {
  state: string
  error?: string
  messages: number
  bytes: number
  limit: number
  first: number
  last: number
  oldest?: string
  rate: number
  dropped: number
  cursors: Cursor[]
  cursors_total: number
  cursors_expired: number
}

export interface Cursor {
  name: string
  position: number
  messages: number
  bytes: number
  oldest?: string
  in_use: boolean
  idle_since?: string
  expires?: string
}

export interface Mqtt {
  listen: string[]
  connections: number
  received: number
  delivered: number
  dropped: number
  sleeping: number
  unwelcome: number
  excess: number
}

export interface RocketMq {
  listen: string[]
  keys?: boolean
  tls?: string
  connections: number
  received: number
  delivered: number
  groups: number
  producers: number
  waiting: number
  unwelcome: number
  excess: number
}

export interface Demo {
  line_up: boolean
  received: number
  gaps: number
  duplicates: number
  reordered: number
}

// age is how old a moment is by the gateway's own clock, in milliseconds.
export function age(status: Status, moment: string): number {
  return Math.max(0, Date.parse(status.time) - Date.parse(moment))
}

// until is how far away a moment is by the gateway's own clock, in milliseconds.
export function until(status: Status, moment: string): number {
  return Math.max(0, Date.parse(moment) - Date.parse(status.time))
}

// waiting is how many messages the slowest uplink still has to send.
export function waiting(status: Status): number {
  return Math.max(0, ...status.uplinks.map((u) => u.backlog))
}

// held tells until when the hours hold back everything that waits for an uplink; undefined: something may go.
export function held(uplink: Uplink): string | undefined {
  const lanes = uplink.routes.flatMap((route) => route.lanes).filter((lane) => lane.backlog > 0)
  const until = lanes.map((lane) => lane.paused_until)
  return until.length > 0 && until.every((moment) => moment !== undefined) ? until.sort()[0] : undefined
}

// answering tells whether a device gives at least some of its points.
export function answering(device: Device): boolean {
  return device.state === 'online' || device.state === 'degraded'
}
