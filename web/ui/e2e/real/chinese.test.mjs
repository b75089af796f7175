// A person who reads Chinese and a plant where much is wrong: what the gateway says of it is Chinese, too.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { close, launch, open, signIn } from '../browser.mjs'
import { Box, until } from './box.mjs'
import { Caller, password, skip } from './furnished.mjs'
import { english, observe, visit } from './sights.mjs'

before(launch)
after(close)

const point = { name: 'temperature', address: 'holding:2', type: 'float32' }

// faulty is a configuration whose devices and uplinks fail, each in its own way.
function faulty(box, secret) {
  const modbus = (name, address, more = {}) => ({ name, driver: 'modbus', address, interval: '300ms', timeout: '200ms', points: [point], ...more })
  const { device, cloud } = box.ports
  const silent = `tcp://127.0.0.1:${cloud}` // a broker does not answer a meter's questions
  const way = (name, address, more = {}) => ({ name, driver: 'mqtt', address, retry: '1s', forward: [{ from: 'readings/#', to: '{topic}' }], ...more })
  return {
    buses: [{ name: 'rs', serial: '/dev/ttyS77' }],
    devices: [
      modbus('nowhere', 'tcp://127.0.0.1:9'),
      modbus('press', `tcp://127.0.0.1:${device}`),
      modbus('wrong-unit', `tcp://127.0.0.1:${device}`, { unit: 9 }),
      modbus('wrong-dialect', `rtu+tcp://127.0.0.1:${device}`),
      modbus('no-port', 'rtu://rs'),
      { name: 'meter', driver: 'dlt645', address: silent, meter: '000000000001', timeout: '200ms', interval: '300ms', points: [{ name: 'energy', id: '00010000' }] },
    ],
    uplinks: [
      way('refused', 'tcp://127.0.0.1:9'),
      way('wrong-password', `tcp://127.0.0.1:${cloud}`, { username: 'plant', password_file: secret }),
      way('wrong-password-5', `tcp://127.0.0.1:${cloud}`, { driver: 'mqtt5', username: 'plant', password_file: secret }),
      way('no-tls', `ssl://127.0.0.1:${cloud}`),
    ],
    alarms: [{ name: 'cold', device: 'press', point: 'temperature', when: 'below', limit: 1_000_000, notify: ['hook'] }],
    notify: [{ name: 'hook', webhook: { url: 'http://127.0.0.1:9/x' } }],
  }
}

test('errors of devices, clouds and people are Chinese on the Chinese page', { skip }, async (t) => {
  const box = await Box.unpack({ password })
  t.after(() => box.remove())
  const secret = join(box.folder, 'wrong')
  await writeFile(secret, 'wrong', { mode: 0o600 })
  const caller = await Caller.enter(box)
  const { etag } = await caller.call('GET', 'config')
  const edits = Object.entries(faulty(box, secret)).map(([section, value]) => ({ path: [section], value }))
  await caller.call('PUT', 'config', { edits }, { 'If-Match': `"${etag}"` })

  const { context, page } = await open({ locale: 'zh-CN' }, box.url)
  t.after(() => context.close())
  observe(page)
  const found = []
  const look = async (where) => found.push(...(await english(page)).map((fault) => `${where} ${fault}`))

  await signInWrongly(page)
  await look('the door')
  await signIn(page, { name: 'admin', password })
  // Devices and connections fail at their own pace.
  await until('everything that is wrong has been seen', async () => {
    const { devices, uplinks } = await caller.call('GET', 'status')
    return [...devices, ...uplinks].every((one) => one.last_error || one.name === 'press')
  })
  await page.getByText('连接被拒绝').first().waitFor() // the catalogue has come
  for (const address of ['#/', '#/devices', '#/devices/press', '#/devices/wrong-dialect', '#/buses', '#/buses/rs', '#/uplinks', '#/uplinks/no-tls', '#/alarms', '#/logs', '#/audit', '#/profiles', '#/configuration']) {
    await visit(page, address)
    await look(address)
  }

  await t.test('a test of an uplink', async () => {
    await visit(page, '#/uplinks/wrong-password')
    await page.getByRole('button', { name: '测试', exact: true }).click()
    await page.locator('[data-result]').waitFor()
    assert.equal(await page.locator('[data-result]').getAttribute('data-result'), 'failed')
    await look('a test of an uplink')
    await page.keyboard.press('Escape')
  })
  await t.test('mistakes in the configuration', async () => {
    await visit(page, '#/configuration/text')
    const text = page.locator('textarea').first()
    await text.fill((await text.inputValue()).replace(/^devices:/m, 'devises: 7\ndevices:').replace('timeout: 200ms', 'timeout: 7 parsecs').replace('unit: 9', 'unit: 900').replace('name: wrong-unit', 'name: nowhere'))
    await page.click('[data-test=check]')
    await page.getByText(/7 parsecs.*不是时长/).waitFor()
    await page.getByText(/未知的键/).waitFor()
    await look('mistakes in the configuration')
    await page.getByRole('button', { name: '放弃修改' }).click()
  })
  await t.test('a name that is taken', async () => {
    await visit(page, '#/users')
    await page.getByRole('button', { name: '添加用户' }).first().click()
    await page.fill('[name=new-user]', 'admin')
    await page.fill('[name=new-password]', 'correct horse battery')
    await page.locator('dialog .yes').click()
    await page.getByText(/已有用户/).first().waitFor()
    await look('a name that is taken')
  })
  assert.deepEqual(found, [])
})

async function signInWrongly(page) {
  await page.fill('#user', 'admin')
  await page.fill('#password', 'nonsense')
  await page.keyboard.press('Enter')
  await page.locator('[role=alert]').first().waitFor()
}
