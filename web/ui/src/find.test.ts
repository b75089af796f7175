import { afterEach, expect, test, vi } from 'vitest'

import { boundsOf, find, topicOf, type Wanted } from './find'

const wanted = (change: Partial<Wanted>): Wanted => ({ topic: '', key: '', range: 'any', from: '', to: '', ...change })
const now = '2026-11-23T08:00:00Z'

// answers plays the gateway: paths are answered in turn, and returned when all have been asked.
function answers(...bodies: unknown[]): string[] {
  const asked: string[] = []
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path.replace('/api/v1', ''))
    const body = bodies.shift()
    return Promise.resolve(new Response(JSON.stringify(body ?? { title: 'Not found' }), { status: body ? 200 : 404 }))
  })
  return asked
}

afterEach(() => vi.unstubAllGlobals())

test('a stretch up to now goes by the gateway’s clock', () => {
  expect(boundsOf(wanted({ range: '15m' }), now)).toEqual({ from: '2026-11-23T07:45:00.000Z', to: '' })
  expect(boundsOf(wanted({ range: 'any' }), now)).toEqual({ from: '', to: '' })
  const between = boundsOf(wanted({ range: 'between', from: '2026-11-23T08:00:01', to: '' }), now)
  expect(between).toEqual({ from: new Date('2026-11-23T08:00:01').toISOString(), to: '' })
})

test('of an MQTT topic the first level is the topic', () => {
  expect([' orders ', 'readings/line-3/press', ''].map(topicOf)).toEqual(['orders', 'readings', ''])
})

test('a topic is read from its end', async () => {
  const asked = answers({ items: [], order: 'newest' })
  await find(wanted({ topic: 'a/b', range: '1h' }), now, 7)
  expect(asked).toEqual(['/messages?topic=a&order=newest&from=2026-11-23T07%3A00%3A00.000Z&limit=50&next=7'])
})

test('what is no key may be a message id or a position', async () => {
  const id = '7F0000010000' + '2A9F000000000000000A'
  let asked = answers({ items: [], order: 'newest' }, { items: [{ position: 10 }], order: 'oldest' })
  expect((await find(wanted({ key: id }), now)).items).toEqual([{ position: 10 }])
  expect(asked).toEqual([`/messages?key=${id}&limit=50`, `/messages?id=${id}`])
  asked = answers({ items: [], order: 'newest' }, { position: 12 })
  expect((await find(wanted({ key: '12' }), now)).items).toEqual([{ position: 12 }])
  expect(asked[1]).toBe('/messages/12')
  answers({ items: [], order: 'newest' })
  expect((await find(wanted({ key: '99' }), now)).items).toEqual([])
  asked = answers({ items: [{ position: 3 }], order: 'newest' })
  await find(wanted({ key: '12' }), now)
  expect(asked).toHaveLength(1)
})
