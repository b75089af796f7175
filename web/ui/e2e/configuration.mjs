// The configuration of a gateway, as far as the pages of devices need it: what it answers stands here, so
// that tests can look at what is asked of it.
const field = (name, type, more = {}) => ({ name, type, doc: `what ${name} is`, ...more })

const point = [
  field('name', 'text', { required: true }),
  field('address', 'text', { required: true }),
  field('type', 'text', { enum: ['bool', 'int16', 'uint16', 'int32', 'uint32', 'float32'] }),
  field('order', 'text', { enum: ['ABCD', 'CDAB', 'BADC', 'DCBA'] }),
  field('length', 'integer'),
  field('scale', 'number'),
  field('offset', 'number'),
  field('unit', 'text'),
  field('access', 'text', { enum: ['r', 'rw'] }),
  field('group', 'text'),
  field('deadband', 'number'),
]

export const schema = {
  sections: { devices: [field('name', 'text', { required: true }), field('interval', 'duration', { default: '1s' }), field('report', 'text', { enum: ['always', 'change'] })], buses: [], uplinks: [] },
  drivers: { modbus: { device: [field('address', 'text', { required: true }), field('unit', 'integer')], point } },
  kinds: {},
}

export class Configuration {
  document = {
    devices: [
      { name: 'press', driver: 'modbus', address: 'tcp://192.168.10.21:502', unit: 1, interval: '1s', points: [
        { name: 'temperature', address: 'holding:0', type: 'float32', unit: '°C' },
        { name: 'pressure', address: '40003', type: 'uint16', scale: 0.1, unit: 'bar', enum: { 0: 'none' } },
      ] },
    ],
  }
  previews = []
  tried = []

  async on(page) {
    const answer = (route, body, status = 200) => route.fulfill({ status, json: body, headers: { ETag: '"1"' } })
    await page.route('**/api/v1/config', (route) => answer(route, { etag: '1', path: '/etc/sluice/sluice.yaml', writable: true, text: '', document: this.document }))
    await page.route('**/api/v1/config/schema', (route) => answer(route, schema))
    await page.route('**/api/v1/config/preview', (route) => {
      const { edits } = route.request().postDataJSON()
      this.previews.push(edits)
      answer(route, { etag: '1', changed: true, diff: [{ kind: 'add', text: '    points:', new: 3 }], starts: [], stops: [], restarts: ['device press'], problems: this.problems(edits), warnings: [], risky: false, restart_needed: false })
    })
    await page.route('**/api/v1/devices/try', (route) => {
      const { device } = route.request().postDataJSON()
      this.tried.push(device)
      answer(route, { took_ms: 8.5, points: (device.points ?? []).map((p, i) => ({ name: p.name, unit: p.unit, value: i + 0.5, raw: '0007 0001' })), problems: [], error: '' })
    })
  }

  problems(edits) {
    const found = []
    for (const { path, value } of edits) {
      if (path[2] !== 'points') continue
      const names = new Set()
      value.forEach((p, i) => {
        const at = (key, text) => found.push({ path: ['devices', path[1], 'points', String(i), key], line: i + 1, text })
        if (!p.name) at('name', 'missing; write a text')
        else if (names.has(p.name)) at('name', `"${p.name}" is the name of an earlier point too`)
        names.add(p.name)
        if (!/^((coil|discrete|input|holding):(0x[0-9A-Fa-f]{1,4}|\d{1,5})(\.\w+)?|[0134]\d{4,5})$/.test(p.address ?? '')) at('address', `"${p.address ?? ''}" is not an address`)
        if ('scale' in p && typeof p.scale !== 'number') at('scale', 'text stands here; write a number')
      })
    }
    return found
  }
}
