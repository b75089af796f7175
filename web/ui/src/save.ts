// What leaves the page: files, and text on its way to somewhere else.

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

// copy puts text on the clipboard, and says whether that went well. Browsers keep the clipboard from
// pages that came over plain HTTP, as a gateway's mostly does: there the old way is left.
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const before = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.readOnly = true
  area.style.position = 'fixed' // or the page would jump to it
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  try {
    return document.execCommand('copy')
  } finally {
    area.remove()
    if (before instanceof HTMLElement) before.focus()
  }
}
