// What an operator does at a gateway that works.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch } from '../browser.mjs'
import { furnish, skip } from './furnished.mjs'
import { accessible, observe, visit } from './sights.mjs'

if (!skip) {
  before(launch)
  after(close)
}

const counts = { name: 'counts', device: 'press', point: 'counter', when: 'above', limit: -1, severity: 'warning' }

test('an operator acknowledges, writes and publishes, and does not change the configuration', { skip }, async (t) => {
  const { box, context, page, complaints } = await furnish(t, { role: 'operator', more: { alarms: [counts] } })
  observe(page)
  await visit(page, '#/alarms')
  const alarm = page.locator('[data-alarm=counts]').first()
  await alarm.waitFor()
  assert.deepEqual(await accessible(page), [])
  await alarm.getByRole('button', { name: 'Acknowledge' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('note').fill('it does count')
  await dialog.getByRole('button', { name: 'Acknowledge' }).click()
  await dialog.getByText('Acknowledged.').waitFor()
  assert.deepEqual(await accessible(page), [])
  await dialog.getByRole('button', { name: 'Close' }).click()
  await alarm.getByText('operator: it does count').waitFor()

  await visit(page, '#/devices/press')
  await page.locator('[data-test=write]').click()
  await dialog.getByLabel('Value').fill('42')
  await dialog.getByRole('button', { name: 'Write 42' }).click()
  await page.locator('[data-test=written]').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
  await page.locator('[data-point=setpoint]').getByText('42').waitFor()

  await visit(page, '#/publish')
  await page.fill('input[name=topic]', 'orders/line-3')
  await page.fill('textarea[name=payload]', '{"order":7}')
  await page.locator('main form button[type=submit]').click()
  await page.locator('[data-test=published]').waitFor()

  await visit(page, '#/configuration/text')
  await page.getByText('You can look at the configuration; administrators change it.').waitFor()
  assert.equal(await page.locator('[data-test=review]').count(), 0)
  assert.deepEqual(complaints, [])
  const ask = { headers: { 'X-Requested-With': 'sluice', 'If-Match': (await context.request.get(box.url + '/api/v1/config')).headers()['etag'] } }
  const tried = await context.request.put(box.url + '/api/v1/config', { ...ask, data: { edits: [{ path: ['gateway', 'name'], value: 'mine' }] } })
  assert.equal(tried.status(), 403)
})
