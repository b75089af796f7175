import { expect, test } from 'vitest'

import { noticeOf } from './access'
import type { RocketMq } from './status'

const listener = (change: Partial<RocketMq>): RocketMq => ({
  listen: ['127.0.0.1:10911', '[::1]:9876'], connections: 0, received: 0, delivered: 0, groups: 0, producers: 0, waiting: 0, unwelcome: 0, excess: 0, ...change,
})

test('without keys an address that others reach is open', () => {
  expect(noticeOf(listener({ keys: false, tls: 'off' }))).toEqual({ tone: undefined, key: 'local', tls: 'off' })
  for (const address of ['[::]:10911', '0.0.0.0:10911', '192.168.1.20:10911', '[fe80::1]:1', '10.127.0.1:1']) {
    expect(noticeOf(listener({ keys: false, listen: ['127.0.0.1:9876', address] }))).toMatchObject({ tone: 'bad', key: 'open' })
    const grpc = { listen: address, connections: 0, received: 0, delivered: 0, groups: 0, producers: 0, waiting: 0, unwelcome: 0, excess: 0 }
    expect(noticeOf(listener({ keys: false, grpc }))).toMatchObject({ tone: 'bad', key: 'open' })
  }
})

test('signatures are explained with what TLS adds', () => {
  expect(noticeOf(listener({ keys: true, tls: 'beside' }))).toEqual({ tone: undefined, key: 'signed', tls: 'beside' })
  expect(noticeOf(listener({}))).toBeUndefined()
})
