// The few fields that matter for each cloud. Everything else stands below "all settings".

import type { Section } from './uplinks'
import { valueAt } from './uplinks'

// Kind says how a field is asked for: secrets and certificates become files, and only their path is in the section.
export type FieldKind = 'text' | 'secret' | 'pem' | 'list' | 'choice' | 'factors'

export interface RecipeField {
  path: readonly string[]
  kind: FieldKind
  must?: boolean
  placeholder?: string
  choices?: readonly string[]
}

export interface Recipe {
  driver: string
  fields: readonly RecipeField[]
  streams: readonly string[] // what goes up at first
  to: string // where to; empty: the driver knows
  receives: boolean
}

const text = (path: string, more: Partial<RecipeField> = {}): RecipeField => ({ path: path.split('.'), kind: 'text', ...more })
const secret = (path: string, more: Partial<RecipeField> = {}): RecipeField => ({ path: path.split('.'), kind: 'secret', ...more })
const pem = (path: string, more: Partial<RecipeField> = {}): RecipeField => ({ path: path.split('.'), kind: 'pem', ...more })

const all = ['readings', 'status', 'alarms', 'replies'] as const
const readings = ['readings'] as const
const login = [text('username'), secret('password_file')]
const broker = (driver: string, placeholder: string): Recipe => ({
  driver,
  fields: [text('address', { must: true, placeholder }), ...login, text('client_id'), pem('tls.ca')],
  streams: all,
  to: '{topic}',
  receives: true,
})

export const recipes: readonly Recipe[] = [
  broker('mqtt', 'ssl://broker.example.com:8883'),
  broker('mqtt5', 'ssl://broker.example.com:8883'),
  {
    driver: 'aws-iot',
    fields: [text('address', { must: true, placeholder: 'XXXX-ats.iot.eu-central-1.amazonaws.com' }), pem('tls.cert', { must: true }), pem('tls.key', { must: true }), text('client_id')],
    streams: readings,
    to: '',
    receives: false,
  },
  {
    driver: 'azure-iot-hub',
    fields: [text('address', { must: true, placeholder: 'NAME.azure-devices.net' }), text('device_id', { must: true }), secret('key_file', { must: true })],
    streams: readings,
    to: '',
    receives: false,
  },
  {
    driver: 'alibaba-iot',
    fields: [text('region', { placeholder: 'cn-shanghai' }), text('address', { placeholder: 'iot-XXXX.mqtt.iothub.aliyuncs.com' }), text('product_key', { must: true }), text('device_name', { must: true }), secret('secret_file', { must: true })],
    streams: readings,
    to: '',
    receives: false,
  },
  {
    driver: 'huawei-iotda',
    fields: [text('address', { must: true, placeholder: 'XXXX.iotda-device.cn-north-4.myhuaweicloud.com' }), text('device_id', { must: true }), secret('secret_file', { must: true })],
    streams: readings,
    to: '',
    receives: false,
  },
  {
    driver: 'thingsboard',
    fields: [text('address', { must: true, placeholder: 'mqtt.thingsboard.cloud' }), secret('token_file', { must: true }), { path: ['as'], kind: 'choice', choices: ['gateway', 'device'] }],
    streams: readings,
    to: '',
    receives: false,
  },
  { ...broker('emqx', 'XXXX.emqxsl.com'), fields: [text('address', { must: true, placeholder: 'XXXX.emqxsl.com' }), ...login, text('client_id'), pem('tls.ca')] },
  {
    driver: 'sparkplug',
    fields: [text('address', { must: true, placeholder: 'broker.example.com' }), text('group', { must: true, placeholder: 'plant' }), text('edge_node'), ...login],
    streams: ['readings', 'status'],
    to: '',
    receives: false,
  },
  {
    driver: 'http',
    fields: [
      text('address', { must: true, placeholder: 'https://in.example.com/path' }),
      { path: ['body'], kind: 'choice', choices: ['array', 'ndjson', 'single'] },
      secret('token_file'),
      ...login,
      pem('tls.ca'),
    ],
    streams: all,
    to: '{topic}',
    receives: false,
  },
  {
    driver: 'kafka',
    fields: [
      text('address', { must: true, placeholder: 'ssl://kafka-1.example.com:9093,ssl://kafka-2.example.com:9093' }),
      { path: ['sasl', 'mechanism'], kind: 'choice', choices: ['none', 'plain', 'scram-sha-256', 'scram-sha-512'] },
      text('sasl.username'),
      secret('sasl.password_file'),
      pem('tls.ca'),
    ],
    streams: readings,
    to: 'readings',
    receives: false,
  },
  {
    driver: 'rocketmq',
    fields: [{ path: ['name_servers'], kind: 'list', must: true, placeholder: '10.0.0.1:9876, 10.0.0.2:9876' }, text('access_key'), secret('secret_key_file'), text('group')],
    streams: all,
    to: '{topic}',
    receives: true,
  },
  {
    driver: 'hj212',
    fields: [
      text('address', { must: true, placeholder: 'tcp://212.example.gov.cn:8000' }),
      text('mn', { must: true }),
      secret('password_file'),
      { path: ['st'], kind: 'choice', choices: ['21', '22', '31', '32'] },
      { path: ['edition'], kind: 'choice', choices: ['2017', '2005'] },
      { path: ['points'], kind: 'factors', must: true },
    ],
    streams: readings,
    to: '{topic}',
    receives: false,
  },
]

export const recipeOf = (driver: unknown): Recipe | undefined => recipes.find((recipe) => recipe.driver === driver)

// begun is the section of a new uplink by a recipe, with routes that make sense.
export function begun(recipe: Recipe, name: string): Section {
  return {
    name,
    driver: recipe.driver,
    forward: recipe.streams.map((stream) => ({ from: `${stream}/{gateway}/+`, ...(recipe.to ? { to: recipe.to } : {}) })),
    ...(recipe.receives ? { receive: [{ from: 'commands/{gateway}/+', to: 'commands/{gateway}/{device}' }] } : {}),
  }
}

// missing lists the fields of a section that must be filled in and are not.
export function missing(section: Section): RecipeField[] {
  const empty = (value: unknown) => value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
  return (recipeOf(section.driver)?.fields ?? []).filter((field) => field.must && empty(valueAt(section, field.path)))
}
