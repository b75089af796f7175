// What the API answers about messages, topics and groups, as web/openapi describes it.

import type { Schemas } from './schemas'

export interface Directory<T> {
  items: T[]
  total: number
  next?: string
}

export type Queue = Schemas['Queue']
export type Topic = Schemas['Topic']
export type TopicDetail = Schemas['TopicDetail']
export type GroupQueue = Schemas['GroupQueue']
export type Group = Schemas['Group']

export interface Found {
  items: Head[]
  order: 'newest' | 'oldest'
  next?: number
}

export type Head = Schemas['MessageHead']
export type Message = Schemas['Message']
export type Metric = Schemas['SparkplugMetric']
export type Aside = Schemas['Aside']

export interface AsidePage {
  items: Aside[]
  next?: number
}

// asideOf names the uplink that a message was set aside for, and the topic that it came from.
export function asideOf(mqttTopic: string): { uplink: string; topic: string } | undefined {
  const [dead, uplink, ...topic] = mqttTopic.split('/')
  return dead === '$dead' && uplink && topic.length > 0 ? { uplink, topic: topic.join('/') } : undefined
}

export type Resent = Schemas['Resent']
export type Reset = Schemas['Reset']

// kept is how many messages of a topic are still in the log.
export function kept(topic: Topic): number {
  return topic.queues.reduce((sum, q) => sum + q.next - q.first, 0)
}

// ever is how many messages a topic has had.
export function ever(topic: Topic): number {
  return topic.queues.reduce((sum, q) => sum + q.next, 0)
}
