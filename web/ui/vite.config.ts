import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// The gateway serves what is built here; `npm run dev` asks a running gateway for the API instead.
export default defineConfig({
  plugins: [vue()],
  define: {
    __VUE_OPTIONS_API__: 'true', // Element Plus uses it in places
    __VUE_I18N_FULL_INSTALL__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    outDir: 'dist',
    emptyOutDir: false, // dist/README.md is committed; build/clean.mjs removes the rest
    target: 'es2022',
    manifest: true, // for build/compress.mjs, which takes it away
    assetsInlineLimit: 0, // fonts and pictures are files: the content policy allows nothing inline
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: { '/api': process.env.SLUICE_URL ?? 'http://127.0.0.1:8080' },
  },
})
