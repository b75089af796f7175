// Makes a .gz and a .br of each file that gains from it, so that the gateway compresses nothing itself,
// and takes the plain one away: the gateway makes it of the .gz for the rare client that wants it. Then it refuses a page that has become too heavy for a slow line to a plant.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const limit = 400_000 // bytes of the whole first load, compressed with gzip
const dist = fileURLToPath(new URL('../dist/', import.meta.url))

// What a browser fetches before anything is clicked: the entry, what that imports, styles and fonts.
const manifest = JSON.parse(await readFile(join(dist, '.vite/manifest.json'), 'utf8'))
await rm(join(dist, '.vite'), { recursive: true })
const first = new Set(['index.html'])
const seen = new Set()
const needs = (name) => {
  if (seen.has(name)) return
  seen.add(name)
  const { file, css = [], assets = [], imports = [] } = manifest[name]
  for (const f of [file, ...css, ...assets]) first.add(f)
  imports.forEach(needs)
}
needs('index.html')

let total = 0
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name === 'README.md') continue
  const path = join(entry.parentPath, entry.name)
  const plain = await readFile(path)
  const gzip = gzipSync(plain, { level: 9 })
  const counts = first.has(relative(dist, path)) || path.endsWith('.woff2')
  if (gzip.length > plain.length * 0.95) {
    if (counts) total += plain.length
    continue
  }
  await writeFile(path + '.gz', gzip)
  await writeFile(path + '.br', brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }))
  if (entry.name !== 'index.html') await rm(path) // that one tells build.sh how old the page is
  if (counts) total += gzip.length
}
console.log(`first load: ${(total / 1000).toFixed(0)} kB compressed, of ${limit / 1000} kB allowed`)
if (total > limit) process.exit(1)
