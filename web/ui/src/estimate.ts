// How long a search takes when nobody answers, which is what most of its questions come to.

import { addresses, numbersOf, serial, type Choice } from './choice'
import type { Offer } from './searches'

export interface Estimate {
  questions: number
  seconds: number
  // Some protocol is unknown to this page, so it takes longer than that.
  least: boolean
}

// What a protocol costs at one rate and parity: how often somebody is asked, how long silence is listened
// to, and how many characters the question has. The gateway's drivers wait that long.
interface Cost {
  asks: 'units' | number
  wait: number // seconds
  characters: number
  own?: number[] // rates that it has whatever is chosen
}

const costs: Record<string, Cost> = {
  'modbus-rtu': { asks: 'units', wait: 0.3, characters: 12 },
  'modbus-ascii': { asks: 'units', wait: 0.3, characters: 21 },
  'modbus-tcp': { asks: 'units', wait: 0.3, characters: 12 },
  dlt645: { asks: 3, wait: 0.5, characters: 20 },
  cjt188: { asks: 6, wait: 0.5, characters: 20 },
  mbus: { asks: 252, wait: 0.3, characters: 10 },
  iec62056: { asks: 2, wait: 2, characters: 8, own: [300, 9600] },
  sml: { asks: 1, wait: 5, characters: 0 },
}

const bits = 11 // of a character, with parity or a second stop bit

// estimated gives undefined where there is nothing to go by.
export function estimated(choice: Choice, offer: Offer): Estimate | undefined {
  return choice.where === 'network' ? ofNetwork(choice) : ofLine(choice, offer)
}

function ofLine(choice: Choice, offer: Offer): Estimate | undefined {
  const onSerial = serial(choice, offer)
  const units = numbersOf(choice.units, 1, 247)?.length ?? 0
  const sum: Estimate = { questions: 0, seconds: 0, least: false }
  for (const name of choice.protocols) {
    const cost = costs[name]
    if (!cost) {
      sum.least = true
      continue
    }
    const asks = cost.asks === 'units' ? units : cost.asks
    const rates = onSerial ? (cost.own ?? choice.bauds) : [0]
    const ways = onSerial && !cost.own ? choice.parities.length : 1
    for (const rate of rates) {
      sum.questions += asks * ways
      sum.seconds += asks * ways * (cost.wait + (rate > 0 ? (cost.characters * bits) / rate : 0))
    }
  }
  return sum.questions > 0 ? sum : undefined
}

const atOnce = 32 // connections
const connect = 1 // seconds until nobody is there

function ofNetwork(choice: Choice): Estimate | undefined {
  const ports = numbersOf(choice.ports, 1, 65_535)?.length
  const count = addresses(choice.network)
  if (!ports || !count) return undefined
  return { questions: count * ports, seconds: Math.ceil((count * ports) / atOnce) * connect, least: false }
}
