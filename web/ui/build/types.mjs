// Writes the types of the API from its description, so that the page cannot expect what the gateway
// does not answer. The result is not committed.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'

const folder = new URL('../../openapi/', import.meta.url)
const out = fileURLToPath(new URL('../src/openapi.d.ts', import.meta.url))

function join(to, from) {
  for (const [key, value] of Object.entries(from)) {
    if (key in to) join(to[key], value)
    else to[key] = value
  }
  return to
}

const whole = {}
for (const name of (await readdir(folder)).filter((n) => n.endsWith('.json')).sort()) join(whole, JSON.parse(await readFile(new URL(name, folder), 'utf8')))
await writeFile(out, '// Written by build/types.mjs.\n' + astToString(await openapiTS(whole)))
