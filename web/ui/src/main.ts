import './font.css'
import 'element-plus/es/components/button/style/css'
import 'element-plus/es/components/form-item/style/css'
import 'element-plus/es/components/form/style/css'
import 'element-plus/es/components/input/style/css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import 'uplot/dist/uPlot.min.css'
import './styles.css'
import './theme'

import { createApp } from 'vue'

import App from './App.vue'
import { i18n } from './lang'
import { begin } from './live'

createApp(App).use(i18n).mount('#app')
void begin()

// A part of the page that is not there any more: the gateway has a newer page since an update.
window.addEventListener('vite:preloadError', () => location.reload())
