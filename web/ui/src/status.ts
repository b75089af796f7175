// The answer of GET /api/v1/status, as openapi.json describes it.

export interface Status {
  gateway: string
  version: string
  started: string
  time: string
  devices: Device[]
  uplinks: Uplink[]
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
  backlog: number
  oldest?: string
  in_flight: number
  sent: number
  repeated: number
  rate: number
  drain_seconds?: number
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

// answering tells whether a device gives at least some of its points.
export function answering(device: Device): boolean {
  return device.state === 'online' || device.state === 'degraded'
}
