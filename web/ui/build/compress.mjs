// Puts a .gz and a .br beside each file that gains from it, so that the gateway compresses nothing
// itself, and refuses a page that has become too heavy for a slow line to a plant.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const limit = 400_000 // bytes of the whole first load, compressed with gzip
const dist = fileURLToPath(new URL('../dist/', import.meta.url))

let total = 0
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name === 'README.md') continue
  const path = join(entry.parentPath, entry.name)
  const plain = await readFile(path)
  const gzip = gzipSync(plain, { level: 9 })
  if (gzip.length > plain.length * 0.95) {
    total += plain.length
    continue
  }
  await writeFile(path + '.gz', gzip)
  await writeFile(path + '.br', brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }))
  total += gzip.length
}
console.log(`first load: ${(total / 1000).toFixed(0)} kB compressed, of ${limit / 1000} kB allowed`)
if (total > limit) process.exit(1)
