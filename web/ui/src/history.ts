import { waiting, type Status } from './status'

// Row is one second of the chart; null where nothing was heard.
interface Row {
  at: number // browser's clock, Unix seconds
  into: number | null
  out: Record<string, number> | null
  backlog: number | null
  waits: Record<string, number> | null // of each uplink
}

// History keeps the last ten minutes for the chart. It starts when the page is opened.
export class History {
  private rows: Row[] = []

  constructor(readonly span = 600) {}

  add(status: Status, at: number): void {
    const last = this.rows.at(-1)
    if (last && at <= last.at) this.rows = [] // the browser's clock was set back
    if (last && at - last.at > 4) this.rows.push({ at: last.at + 1, into: null, out: null, backlog: null, waits: null })
    this.rows.push({
      at,
      into: status.log.rate,
      out: Object.fromEntries(status.uplinks.map((u) => [u.name, u.rate])),
      backlog: waiting(status),
      waits: Object.fromEntries(status.uplinks.map((u) => [u.name, u.backlog])),
    })
    const first = this.rows.findIndex((row) => row.at >= at - this.span)
    if (first > 0) this.rows.splice(0, first)
  }

  // columns is the form that the chart draws: times, into the log, out to each uplink, backlog.
  columns(uplinks: string[]): (number | null)[][] {
    return [
      this.rows.map((row) => row.at),
      this.rows.map((row) => row.into),
      ...uplinks.map((name) => this.rows.map((row) => row.out?.[name] ?? null)),
      this.rows.map((row) => row.backlog),
    ]
  }

  // of is what one uplink did: times, its rate, its backlog.
  of(uplink: string): (number | null)[][] {
    return [this.rows.map((row) => row.at), this.rows.map((row) => row.out?.[uplink] ?? null), this.rows.map((row) => row.waits?.[uplink] ?? null)]
  }

  // window is the stretch of time to show: two minutes at first, all ten when there is as much.
  window(now: number): [number, number] {
    const start = this.rows[0]?.at ?? now
    return [now - Math.min(this.span, Math.max(120, now - start)), now]
  }
}
