import type { RocketMq } from './status'
import type { Tone } from './verdict'

// What there is to know about who gets in over RocketMQ: keys of the language files below access.
export interface Notice {
  tone: Tone | undefined
  key: 'open' | 'local' | 'signed'
  tls: 'off' | 'beside' | 'only' | undefined
}

export function noticeOf(listener: RocketMq): Notice | undefined {
  const tls = listener.tls === 'off' || listener.tls === 'beside' || listener.tls === 'only' ? listener.tls : undefined
  if (listener.keys === undefined) return undefined
  if (listener.keys) return { tone: undefined, key: 'signed', tls }
  return reachable(listener).length > 0 ? { tone: 'bad', key: 'open', tls } : { tone: undefined, key: 'local', tls }
}

// reachable lists the addresses that other machines reach.
export function reachable(listener: RocketMq): string[] {
  return [...listener.listen, ...(listener.grpc ? [listener.grpc.listen] : [])].filter((address) => !/^(127\.|\[::1\]|\[::ffff:127\.|localhost:)/.test(address))
}
