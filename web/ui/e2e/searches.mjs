// Searches answers as a gateway does that looks for devices; how far it is, the test says.
export class Searches {
  #all = []
  #asked = [] // the bodies of what was wanted
  offer = {
    lines: [{ bus: 'rs485-1', place: '/dev/ttyS1' }, { bus: 'hall-2', place: 'tcp://192.168.1.50:4001' }],
    serials: ['/dev/ttyUSB0'],
    networks: ['192.168.1.0/24'],
    protocols: [
      { name: 'modbus-rtu', title: 'Modbus RTU' },
      { name: 'modbus-ascii', title: 'Modbus ASCII' },
      { name: 'dlt645', title: 'DL/T 645' },
      { name: 'cjt188', title: 'CJ/T 188' },
      { name: 'mbus', title: 'M-Bus' },
      { name: 'iec62056', title: 'IEC 62056-21' },
      { name: 'sml', title: 'SML' },
      { name: 'modbus-tcp', title: 'Modbus TCP', line: false },
    ],
    bauds: [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200],
  }

  get asked() {
    return this.#asked
  }

  // on serves what a page asks for below /api/v1/searches.
  on(page) {
    return page.route(/\/api\/v1\/searches(\/|$)/, (route) => {
      const request = route.request()
      const { status, body } = this.answer(request.method(), new URL(request.url()).pathname, request.postDataJSON())
      return route.fulfill({ status, contentType: 'application/json', body: body === undefined ? '' : JSON.stringify(body) })
    })
  }

  answer(method, path, body) {
    const id = path.split('/')[4]
    if (id === 'options') return { status: 200, body: this.offer }
    if (id === undefined && method === 'POST') return this.#begin(body)
    if (id === undefined) return { status: 200, body: { items: this.#all } }
    const search = this.#all.find((s) => s.id === id)
    if (!search) return { status: 404, body: { title: 'Not Found', detail: `there is no search ${id}` } }
    if (method !== 'DELETE') return { status: 200, body: search }
    if (search.state === 'running') this.end(search, 'cancelled')
    else this.#all = this.#all.filter((s) => s !== search)
    return { status: 204 }
  }

  #begin(wanted) {
    this.#asked.push(wanted)
    const place = wanted.network ?? wanted.serial ?? 'bus://' + wanted.bus
    if (this.#all.some((s) => s.place === place && s.state === 'running')) {
      return { status: 409, body: { title: 'Busy', detail: `another search is in the way: ${place} is being searched already` } }
    }
    const search = { id: 's' + this.#asked.length, kind: wanted.kind, state: 'running', place, started: new Date().toISOString(), done: 0, all: 480, left_seconds: 0, found: [] }
    this.#all.unshift(search)
    return { status: 201, body: search }
  }

  get newest() {
    return this.#all[0]
  }

  move(search, done, now) {
    Object.assign(search, { done, now, left_seconds: (search.all - done) * 0.31 })
  }

  end(search, state, error) {
    delete search.now
    Object.assign(search, { state, left_seconds: 0, ended: new Date().toISOString(), ...(error ? { error } : {}) })
    if (state === 'done') search.done = search.all
  }
}

// meters are what there is to find.
export const meters = [
  {
    place: 'bus://rs485-1', protocol: 'modbus-rtu', settings: '9600 8N1', unit: '17', answer: 'holding:0 = 230', raw: '11030200e67995',
    guesses: [
      { profile: 'eastron-sdm120', title: 'Eastron SDM120', score: 0.41, why: 'input:70 = 49.98 is a frequency; input:200, which an SDM630 has, is refused' },
      { profile: 'eastron-sdm630', title: 'Eastron SDM630', score: 0.92, why: 'three voltages from 229 to 231 V at input:0, and 49.98 Hz at input:70' },
    ],
    yaml: 'devices:\n  - name: eastron-sdm630-17\n    profile: eastron-sdm630\n    address: "rtu://rs485-1"\n    unit: 17\n    interval: 10s\n',
  },
  {
    place: 'bus://rs485-1', protocol: 'dlt645', settings: '2400 8E1', unit: '000012345678', answer: 'electricity meter 000012345678', raw: '68785634120000689306ab89674533333916',
    guesses: [],
    yaml:
      '# the bus rs485-1 is set to 9600 8N1; this device needs baud: 2400, parity: even\n' +
      'devices:\n  - name: dlt645-000012345678\n    driver: dlt645\n    address: "bus://rs485-1"\n    meter: "000012345678"\n    interval: 15s\n    points:\n      - {name: energy_import, id: "00010000", unit: kWh}\n',
  },
]

// crowd is an answer from which nothing can be configured.
export const crowd = {
  place: 'bus://rs485-1', protocol: 'mbus', settings: '2400 8E1', unit: '', raw: 'e5e5e5', guesses: [],
  answer: 'several meters answer to the number 0 at once: give them different ones, or read them by their identification numbers',
}
