// Files that leave the page.

// nameFrom reads the name that an answer has for its file [RFC 6266].
export function nameFrom(disposition: string | null, otherwise: string): string {
  const [, encoded] = /filename\*=UTF-8''([^;\s]+)/i.exec(disposition ?? '') ?? []
  if (encoded) {
    try {
      return safe(decodeURIComponent(encoded)) || otherwise
    } catch {
      // the plain name may still do
    }
  }
  const [, quoted, bare] = /filename=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(disposition ?? '') ?? []
  return safe(quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '') || otherwise
}

function safe(name: string): string {
  return name.replace(/[\\/\0]/g, '_')
}

// save puts a file where the browser keeps what was downloaded.
export function save(content: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
