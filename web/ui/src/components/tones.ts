import type { Device, Uplink } from '../status'
import type { Tone } from '../verdict'

export function deviceTone(device: Device): Tone {
  switch (device.state) {
    case 'online':
      return 'good'
    case 'starting':
      return 'busy'
    case 'offline':
      return 'bad'
    default:
      return 'warn'
  }
}

export function uplinkTone(uplink: Uplink): Tone {
  if (uplink.state === 'online') return 'good'
  return uplink.state === 'connecting' ? 'busy' : 'bad'
}

export function logTone(state: string): Tone {
  return state === 'ok' ? 'good' : 'bad'
}
