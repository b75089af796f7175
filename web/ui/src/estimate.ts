// How long a search takes when nobody answers, which is what most of its questions come to.

import { addresses, chosen, numbersOf, serial, type Choice } from './choice'
import type { Offer } from './searches'

export interface Estimate {
  questions: number
  seconds: number
  // Some protocol is unknown to this page, so it takes longer than that.
  least: boolean
}

// What a protocol costs at one setting of the line: how often somebody is asked, how long silence is listened
// to, and how many characters the question has. The gateway's drivers wait that long.
interface Cost {
  asks: 'units' | number
  wait: number // seconds
  characters: number
  usual: number[] // the rate of each setting that its devices mostly have
  fixed?: true // parity and data bits are the protocol's own
  forms?: number // of a character, with each parity
}

const costs: Record<string, Cost> = {
  'modbus-rtu': { asks: 'units', wait: 0.3, characters: 12, usual: [9600, 9600, 19200, 19200, 4800, 2400, 38400, 115200, 57600] },
  'modbus-ascii': { asks: 'units', wait: 0.3, characters: 17, usual: [9600, 9600, 19200], forms: 2 },
  dlt645: { asks: 3, wait: 0.5, characters: 18, usual: [2400, 9600, 1200, 4800, 9600] },
  cjt188: { asks: 6, wait: 0.5, characters: 20, usual: [2400, 9600, 9600, 4800, 1200] },
  mbus: { asks: 252, wait: 0.3, characters: 6, usual: [2400, 300, 9600], fixed: true },
  iec62056: { asks: 1, wait: 4, characters: 10, usual: [300, 9600], fixed: true },
  sml: { asks: 1, wait: 5, characters: 0, usual: [9600], fixed: true },
}

const bits = 11 // of a character, with parity or a second stop bit
const units = 247 // that there can be

// estimated gives undefined where there is nothing to go by.
export function estimated(choice: Choice, offer: Offer): Estimate | undefined {
  return choice.where === 'network' ? ofNetwork(choice) : ofLine(choice, offer)
}

function ofLine(choice: Choice, offer: Offer): Estimate | undefined {
  const sum: Estimate = { questions: 0, seconds: 0, least: false }
  for (const name of choice.protocols) {
    const cost = costs[name]
    if (!cost) {
      sum.least = true
      continue
    }
    const asks = cost.asks === 'units' ? (numbersOf(choice.units, 1, units)?.length ?? units) : cost.asks
    for (const rate of ratesFor(cost, choice, offer)) {
      sum.questions += asks
      sum.seconds += asks * (cost.wait + (rate > 0 ? (cost.characters * bits) / rate : 0))
    }
  }
  return sum.questions > 0 ? sum : undefined
}

// ratesFor has the rate of each setting at which a protocol is asked for; 0 where it is a converter's.
function ratesFor(cost: Cost, choice: Choice, offer: Offer): number[] {
  if (!serial(choice, offer)) return [0]
  if (!chosen(choice, offer)) return cost.usual
  const forms = cost.fixed ? 1 : choice.parities.length * (cost.forms ?? 1)
  return choice.bauds.flatMap((baud) => Array<number>(forms).fill(baud))
}

const atOnce = 32 // connections
const connect = 1 // seconds until nobody is there

function ofNetwork(choice: Choice): Estimate | undefined {
  const ports = numbersOf(choice.ports, 1, 65_535)?.length
  const count = addresses(choice.network)
  if (!ports || !count) return undefined
  return { questions: count * ports, seconds: Math.ceil((count * ports) / atOnce) * connect, least: false }
}
