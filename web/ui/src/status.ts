// The answer of GET /api/v1/status, as web/openapi describes it.

import type { Place, View } from './route'
import type { Schemas } from './schemas'

export type Status = Schemas['Status']
export type Device = Schemas['Device']

export type Scalar = number | string | boolean | null

export type Point = Schemas['Point']
export type Uplink = Schemas['Uplink']
export type Route = Schemas['UplinkRoute']
export type Lane = Schemas['UplinkLane']
export type Abandoned = Schemas['Abandoned']
export type Log = Schemas['Log']
export type Cursor = Schemas['Cursor']
export type Mqtt = Schemas['MQTT']
export type RocketMq = Schemas['RocketMQ']
export type Demo = Schemas['Demo']

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

const few = 6 // devices whose points the overview shows

// small tells whether there are so few devices that each is shown with its points.
export const small = (status: Status): boolean => status.devices.length <= few

const pointless: readonly View[] = ['alarms', 'buses', 'find', 'messages', 'tail', 'publish', 'topics', 'groups', 'dead', 'connections', 'trends', 'aside', 'profiles', 'devices', 'add', 'import', 'points']

// pointsFor says of which devices a place needs the points: all, none, or one by its name.
export function pointsFor(place: Place, status: Status | undefined): string {
  if ((place.view === 'devices' || place.view === 'points') && place.name) return place.name
  if (place.view === 'overview') return status && small(status) ? 'all' : 'none'
  return pointless.includes(place.view) ? 'none' : 'all'
}

// answering tells whether a device gives at least some of its points.
export function answering(device: Device): boolean {
  return device.state === 'online' || device.state === 'degraded'
}
