// What the API answers about messages, topics and groups, as web/openapi describes it.

export interface Directory<T> {
  items: T[]
  total: number
}

export interface Queue {
  number: number
  first: number
  next: number
}

export interface Topic {
  name: string
  permission: string
  write_queues: number
  internal: boolean
  queues: Queue[]
}

export interface TopicDetail extends Topic {
  last?: string
  groups: { name: string; lag: number }[]
}

export interface GroupQueue {
  topic: string
  queue: number
  next: number
  end: number
  lag: number
}

export interface Group {
  name: string
  lag: number
  max_retries: number
  ordered: boolean
  disabled: boolean
  clients?: number
  mode?: string
  queues: GroupQueue[]
}

export interface Found {
  items: Head[]
  order: 'newest' | 'oldest'
  next?: number
}

export interface Head {
  position: number
  topic: string
  mqtt_topic: string
  queue: number
  offset: number
  stored: string
  bytes: number
  unique_key?: string
  keys?: string
  tags?: string
  retries: number
}

export interface Message extends Head {
  born: string
  born_host?: string
  properties: { name: string; value: string }[]
  text?: string
  binary?: string
  cut: boolean
  track: { group: string; state: string; next: number }[]
}

export interface Aside {
  position: number
  topic: string
  stored: string
  bytes: number
  reason: string
  tries: number
  origin: number
}

export interface AsidePage {
  items: Aside[]
  next?: number
}

// asideOf names the uplink that a message was set aside for, and the topic that it came from.
export function asideOf(mqttTopic: string): { uplink: string; topic: string } | undefined {
  const [dead, uplink, ...topic] = mqttTopic.split('/')
  return dead === '$dead' && uplink && topic.length > 0 ? { uplink, topic: topic.join('/') } : undefined
}

export interface Resent {
  topic: string
  queue: number
  offset: number
  position: number
}

export interface Reset {
  queue: number
  before?: number
  after: number
}

// kept is how many messages of a topic are still in the log.
export function kept(topic: Topic): number {
  return topic.queues.reduce((sum, q) => sum + q.next - q.first, 0)
}

// ever is how many messages a topic has had.
export function ever(topic: Topic): number {
  return topic.queues.reduce((sum, q) => sum + q.next, 0)
}
