import { expect, test } from 'vitest'

import { asideOf } from './messages'

test('the topic of what was set aside names uplink and origin', () => {
  expect(asideOf('$dead/cloud/readings/line-3/press')).toEqual({ uplink: 'cloud', topic: 'readings/line-3/press' })
  for (const other of ['', '$dead', '$dead/cloud', 'readings/$dead/cloud/a']) expect(asideOf(other)).toBeUndefined()
})
