// Plays MQTT.js against a broker: node client.mjs URL VERSION PREFIX, VERSION being 4 (3.1.1) or 5. It
// ends with 0 when everything came as it should, and else says what did not.
import mqtt from 'mqtt'

const [url, versionText, prefix] = process.argv.slice(2)
const version = Number(versionText)
const patience = setTimeout(() => fail('the whole takes too long'), 40_000)

function fail(what) {
  console.error(what)
  process.exit(1)
}

function check(holds, what) {
  if (!holds) fail(what)
}

// connect gives a client with a queue of what came.
async function connect(options = {}) {
  const client = await mqtt.connectAsync(url, { protocolVersion: version, reconnectPeriod: 0, connectTimeout: 10_000, clean: true, ...options })
  const waiting = []
  const queue = []
  client.on('message', (topic, payload, packet) => {
    const next = waiting.shift()
    const message = { topic, payload: payload.toString(), packet }
    if (next) next(message)
    else queue.push(message)
  })
  client.receive = () =>
    new Promise((resolve) => {
      const late = setTimeout(() => fail(`nothing came for 10 s (${new Error().stack})`), 10_000)
      const take = (m) => (clearTimeout(late), resolve(m))
      if (queue.length > 0) take(queue.shift())
      else waiting.push(take)
    })
  return client
}

async function everyQoS() {
  const client = await connect()
  await client.subscribeAsync(`${prefix}/qos/#`, { qos: 2 })
  for (let i = 0; i < 30; i++) {
    await client.publishAsync(`${prefix}/qos/${i % 2}`, `ü ${i}`, { qos: i % 3 })
    const got = await client.receive()
    check(got.payload === `ü ${i}` && got.packet.qos === i % 3, `message ${i} came as ${JSON.stringify(got)}`)
  }
  const big = 'x'.repeat(200_000)
  await client.publishAsync(`${prefix}/qos/big`, big, { qos: 2 })
  check((await client.receive()).payload === big, 'the long message is not what it was')
  await client.unsubscribeAsync(`${prefix}/qos/#`)
  await client.endAsync()
}

async function retained() {
  const client = await connect()
  await client.publishAsync(`${prefix}/retained`, 'kept', { qos: 1, retain: true })
  await client.subscribeAsync(`${prefix}/retained`, { qos: 1 })
  const got = await client.receive()
  check(got.payload === 'kept' && got.packet.retain, `retained came as ${JSON.stringify(got)}`)
  await client.publishAsync(`${prefix}/retained`, '', { qos: 1, retain: true })
  await client.endAsync()
}

async function will() {
  const watch = await connect()
  await watch.subscribeAsync(`${prefix}/will`, { qos: 1 })
  const lost = await connect({ will: { topic: `${prefix}/will`, payload: Buffer.from('gone'), qos: 1, retain: false } })
  lost.on('error', () => {})
  lost.stream.destroy()
  check((await watch.receive()).payload === 'gone', 'the will did not come')
  await watch.endAsync()
  await lost.endAsync(true)
}

async function session() {
  const options = { clientId: `${prefix}-session`, clean: false, properties: version === 5 ? { sessionExpiryInterval: 60 } : undefined }
  let client = await connect(options)
  await client.subscribeAsync(`${prefix}/session`, { qos: 2 })
  await client.endAsync()
  const other = await connect()
  for (let i = 0; i < 20; i++) await other.publishAsync(`${prefix}/session`, `${i}`, { qos: 1 + (i % 2) })
  await other.endAsync()
  let present
  client = mqtt.connect(url, { protocolVersion: version, reconnectPeriod: 0, ...options })
  const came = []
  await new Promise((resolve) => {
    client.on('connect', (connack) => (present = connack.sessionPresent))
    client.on('message', (topic, payload) => {
      came.push(payload.toString())
      if (came.length === 20) resolve()
    })
  })
  check(present, 'the session is gone')
  for (const odd of [0, 1]) {
    const some = came.filter((payload) => payload % 2 === odd) // each QoS has its own order
    check(some.length === 10 && some.every((payload, i) => payload === `${2 * i + odd}`), `they came as ${came}`)
  }
  await client.endAsync()
  await (await connect({ ...options, clean: true, properties: undefined })).endAsync()
}

async function properties() {
  const client = await connect({ properties: { topicAliasMaximum: 5 }, autoUseTopicAlias: true, autoAssignTopicAlias: true })
  await client.subscribeAsync(`${prefix}/properties`, { qos: 1, properties: { subscriptionIdentifier: 77 } })
  for (let i = 0; i < 3; i++) {
    await client.publishAsync(`${prefix}/properties`, 'x', {
      qos: 1,
      properties: {
        payloadFormatIndicator: true, messageExpiryInterval: 100, responseTopic: 'answers', correlationData: Buffer.from([0, 255]),
        contentType: 'text', userProperties: { a: ['1', '2'], b: '3' },
      },
    })
    const got = await client.receive()
    const p = got.packet.properties
    check(
      got.topic === `${prefix}/properties` && p.responseTopic === 'answers' && p.correlationData.equals(Buffer.from([0, 255])) && p.contentType === 'text' &&
        p.messageExpiryInterval <= 100 && p.payloadFormatIndicator === true && p.subscriptionIdentifier === 77 &&
        JSON.stringify(p.userProperties) === '{"a":["1","2"],"b":"3"}',
      `the properties came as ${got.topic} ${JSON.stringify(p)}`,
    )
  }
  await client.endAsync()
}

const steps = [everyQoS, retained, will, session]
if (version === 5) steps.push(properties)
for (const step of steps) {
  await step().catch((err) => fail(`${step.name}: ${err.stack ?? err}`))
  console.log('ok:', step.name)
}
clearTimeout(patience)
