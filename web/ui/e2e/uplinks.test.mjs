// Drives the part of the page for uplinks in Chromium, as page.test.mjs does the rest. The configuration's own
// answers are set here: they have tests of their own.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, open, signIn, url } from './browser.mjs'

before(launch)
after(close)

const cloud = { name: 'cloud', driver: 'mqtt', address: 'ssl://iot.example.com:8883', forward: [{ from: 'readings/#', to: '{topic}' }] }

// begin opens the page of a gateway with one uplink; previews collects what changes were to be looked at.
async function begin(options = {}) {
  const { context, page, complaints } = await open(options)
  const previews = []
  await page.route('**/api/v1/config', (route) => route.fulfill({ json: { etag: 'e1', path: '/etc/sluice/sluice.yaml', writable: true, file_differs: false, restart_needed: false, text: '', document: { uplinks: [cloud] } }, headers: { ETag: '"e1"' } }))
  await page.route('**/api/v1/config/schema', (route) => route.fulfill({ json: { sections: { uplinks: [{ name: 'window', type: 'integer', default: '100', doc: 'Messages on their way at a time.' }] }, drivers: {}, kinds: { mqtt: [{ name: 'keep_alive', type: 'duration', default: '30s', doc: 'How long the line may be silent.' }] } } }))
  await page.route('**/api/v1/config/preview*', (route) => {
    previews.push(route.request().postDataJSON())
    return route.fulfill({ json: { etag: 'e1', changed: true, diff: [{ kind: 'add', text: '  - name: cloud-2', new: 9 }], starts: ['uplink cloud-2'], stops: [], restarts: [], problems: [], warnings: [], risky: false, restart_needed: false } })
  })
  await signIn(page)
  return { context, page, complaints, previews }
}

test('a pasted address becomes an uplink, tested before it is saved', async () => {
  const { context, page, complaints, previews } = await begin()
  await page.getByRole('link', { name: 'Uplinks', exact: true }).click()
  await page.getByRole('button', { name: 'Add an uplink' }).click()
  await page.locator('#paste').fill('nothing')
  await page.keyboard.press('Enter')
  await page.getByText('Nothing is recognised in this text').waitFor()
  await page.locator('#paste').fill('mqtts://line3:s3cret@broker.example.com')
  await page.keyboard.press('Enter')
  await page.locator('[data-test=recognised]').getByText('An MQTT broker at broker.example.com:8883').waitFor()
  assert.equal(await page.locator('#paste').inputValue(), '', 'a password stays on the page')
  assert.equal(await page.locator('#uplink-name').inputValue(), 'cloud-2', 'the name is taken already')
  assert.equal(await page.getByLabel('Address').inputValue(), 'ssl://broker.example.com:8883')
  await page.locator('[data-test=example]').getByText('plants/readings/line-3/press').waitFor()
  await page.getByRole('button', { name: 'Test', exact: true }).click()
  await page.locator('[data-light=connect][data-state=bad]').waitFor()
  assert.equal(await page.locator('[data-light=resolve]').getAttribute('data-state'), 'good')
  await page.locator('[data-result=failed]').waitFor()
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByText('- name: cloud-2').waitFor()
  const [edit] = previews[0].edits
  assert.deepEqual(edit.path, ['uplinks', 'cloud-2'])
  assert.equal(edit.value.password_file, '/var/lib/sluice/secrets/cloud-2-password')
  assert.ok(!JSON.stringify(previews).includes('s3cret'))
  assert.deepEqual(complaints.filter((c) => !/status of 422/.test(c)), [])
  await context.close()
})

test('only what differs of an uplink is changed, and what is missing is named', async () => {
  const { context, page, complaints, previews } = await begin()
  await page.goto(new URL('/#/uplinks/cloud', url).href)
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByLabel('Address').fill('')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.locator('[data-test=lacking]').getByText('Still needed: Address.').waitFor()
  await page.getByLabel('Address').fill('ssl://other.example.com:8883')
  await page.locator('input[name=password_file]').fill('new-secret')
  await page.getByRole('button', { name: 'Review and save' }).click()
  await page.getByText('- name: cloud-2').waitFor()
  assert.deepEqual(previews[0].edits, [
    { path: ['uplinks', 'cloud', 'address'], value: 'ssl://other.example.com:8883' },
    { path: ['uplinks', 'cloud', 'password_file'], value: '/var/lib/sluice/secrets/cloud-password' },
  ])
  await page.goto(new URL('/#/uplinks/cloud', url).href)
  await page.getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('dialog').getByText(/messages wait for it|Nothing waits for it/).waitFor()
  await page.getByRole('button', { name: 'Review the change' }).click()
  await page.getByText('- name: cloud-2').waitFor()
  assert.deepEqual(previews.at(-1).edits, [{ path: ['uplinks', 'cloud'] }])
  assert.deepEqual(complaints, [])
  await context.close()
})

test('an uplink is cut on purpose and connected again', async () => {
  const { context, page, complaints } = await begin()
  await page.goto(new URL('/#/uplinks/cloud', url).href)
  await page.locator('[data-outage=none]').waitFor()
  await page.getByRole('button', { name: 'Cut for 30 seconds' }).click()
  await page.locator('[data-outage=running]').getByText(/Cut, \d+ sec left/).waitFor()
  await page.getByRole('button', { name: 'Connect again now' }).click()
  await page.locator('[data-outage=none]').waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('uplinks fit a phone, in Chinese too', async () => {
  for (const locale of ['en-GB', 'zh-CN']) {
    const { context, page, complaints } = await begin({ locale, viewport: { width: 360, height: 740 } })
    for (const hash of ['/#/uplinks', '/#/uplinks/cloud', '/#/uplinks/cloud?edit=1', '/#/uplinks?new=1']) {
      await page.goto(new URL(hash, url).href)
      await page.locator('main h1').waitFor()
      if (hash.endsWith('edit=1')) await page.locator('[data-route="0"]').waitFor()
      const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
      assert.ok(content <= width, `${hash} is ${content} wide on a screen of ${width}`)
    }
    assert.deepEqual(complaints, [])
    await context.close()
  }
})
