// A box whose gateway has its device and its cloud already, and somebody who looks at its page.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Box, missing } from './box.mjs'
import { open, signIn } from '../browser.mjs'

export const skip = missing() || false

export const password = 'correct horse battery'
const points = [
  { name: 'counter', address: 'holding:0', type: 'uint32' },
  { name: 'temperature', address: 'holding:2', type: 'float32', unit: '°C' },
  { name: 'setpoint', address: 'holding:100', type: 'uint16', access: 'rw' },
]
const admin = { name: 'admin', password }

// Caller asks the API of a box without a browser.
export class Caller {
  static async enter(box, at = box.url) {
    const caller = new Caller()
    caller.at = at
    const answer = await fetch(at + '/api/v1/session', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Requested-With': 'sluice' }, body: JSON.stringify({ user: 'admin', password }) })
    if (!answer.ok) throw new Error(`nobody is let in: ${await answer.text()}`)
    caller.cookie = answer.headers.get('set-cookie').split(';')[0]
    return caller
  }

  async call(method, what, body, headers = {}) {
    const answer = await fetch(this.at + '/api/v1/' + what, { method, headers: { Cookie: this.cookie, 'Content-Type': 'application/json', 'X-Requested-With': 'sluice', ...headers }, ...(body ? { body: JSON.stringify(body) } : {}) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${what} is ${answer.status}: ${text}`)
    return text ? JSON.parse(text) : undefined
  }
}

// furnish unpacks a box and signs in at its page: as the administrator, or as a new user of a role. more is
// what the configuration has besides a device and an uplink.
export async function furnish(t, { role, more = {} } = {}) {
  const box = await Box.unpack({ password })
  t.after(() => box.remove())
  const secret = join(box.folder, 'cloud-password')
  await writeFile(secret, 'sesame', { mode: 0o600 })
  const caller = await Caller.enter(box)
  const { etag } = await caller.call('GET', 'config')
  const device = { name: 'press', driver: 'modbus', address: `tcp://127.0.0.1:${box.ports.device}`, unit: 1, interval: '200ms', points }
  const uplink = { name: 'cloud', driver: 'mqtt', address: `tcp://127.0.0.1:${box.ports.cloud}`, username: 'plant', password_file: secret, retry: '2s', forward: [{ from: 'readings/#', to: '{topic}' }] }
  const edits = Object.entries({ devices: [device], uplinks: [uplink], ...more }).map(([section, value]) => ({ path: [section], value }))
  await caller.call('PUT', 'config', { edits }, { 'If-Match': `"${etag}"` })
  if (role) await caller.call('POST', 'users', { name: role, role, password })
  const { context, page, complaints } = await open({}, box.url)
  t.after(() => context.close())
  await signIn(page, role ? { name: role, password } : admin)
  return { box, caller, context, page, complaints }
}

// signInAgain fills in the door where the page stands, whatever view lies behind it.
export async function signInAgain(page, word = password) {
  await page.fill('#user', 'admin')
  await page.fill('#password', word)
  await page.keyboard.press('Enter')
  await page.waitForSelector('#password', { state: 'detached' })
}
