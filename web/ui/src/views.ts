import { defineAsyncComponent, h, type VNode } from 'vue'

import Overview from './components/Overview.vue'
import { place, type View } from './route'
import type { Status } from './status'

// What is not looked at first is fetched when it is asked for.
const AlarmsView = defineAsyncComponent(() => import('./components/alarms/AlarmsView.vue'))
const AsideView = defineAsyncComponent(() => import('./components/AsideView.vue'))
const BackupView = defineAsyncComponent(() => import('./components/BackupView.vue'))
const BusDetail = defineAsyncComponent(() => import('./components/BusDetail.vue'))
const BusesView = defineAsyncComponent(() => import('./components/BusesView.vue'))
const ConfigurationView = defineAsyncComponent(() => import('./components/ConfigurationView.vue'))
const ConnectionsView = defineAsyncComponent(() => import('./components/ConnectionsView.vue'))
const DeadView = defineAsyncComponent(() => import('./components/DeadView.vue'))
const AddDevice = defineAsyncComponent(() => import('./components/AddDevice.vue'))
const DeviceDetail = defineAsyncComponent(() => import('./components/DeviceDetail.vue'))
const DevicesView = defineAsyncComponent(() => import('./components/DevicesView.vue'))
const FindView = defineAsyncComponent(() => import('./components/FindView.vue'))
const FirmwareView = defineAsyncComponent(() => import('./components/FirmwareView.vue'))
const GroupDetail = defineAsyncComponent(() => import('./components/GroupDetail.vue'))
const GroupsView = defineAsyncComponent(() => import('./components/GroupsView.vue'))
const ImportView = defineAsyncComponent(() => import('./components/ImportView.vue'))
const LogsView = defineAsyncComponent(() => import('./components/LogsView.vue'))
const MessagesView = defineAsyncComponent(() => import('./components/MessagesView.vue'))
const PointsEditor = defineAsyncComponent(() => import('./components/PointsEditor.vue'))
const ProfileDetail = defineAsyncComponent(() => import('./components/ProfileDetail.vue'))
const ProfilesView = defineAsyncComponent(() => import('./components/ProfilesView.vue'))
const PublishView = defineAsyncComponent(() => import('./components/PublishView.vue'))
const RulesView = defineAsyncComponent(() => import('./components/alarms/RulesView.vue'))
const SearchDetail = defineAsyncComponent(() => import('./components/SearchDetail.vue'))
const NetworkView = defineAsyncComponent(() => import('./components/network/NetworkView.vue'))
const SystemView = defineAsyncComponent(() => import('./components/SystemView.vue'))
const TailView = defineAsyncComponent(() => import('./components/TailView.vue'))
const TopicDetail = defineAsyncComponent(() => import('./components/TopicDetail.vue'))
const UplinkDetail = defineAsyncComponent(() => import('./components/UplinkDetail.vue'))
const UplinksView = defineAsyncComponent(() => import('./components/UplinksView.vue'))
const UsersView = defineAsyncComponent(() => import('./components/UsersView.vue'))
const CertificateView = defineAsyncComponent(() => import('./components/CertificateView.vue'))
const AuditView = defineAsyncComponent(() => import('./components/AuditView.vue'))
const Wizard = defineAsyncComponent(() => import('./components/setup/Wizard.vue'))
const TopicsView = defineAsyncComponent(() => import('./components/TopicsView.vue'))
const TrendsView = defineAsyncComponent(() => import('./components/TrendsView.vue'))

// screens says what each view shows: of one thing if the address names one, else the list.
const screens: Record<View, (name: string, status: Status) => VNode> = {
  setup: () => h(Wizard),
  overview: (_, status) => h(Overview, { status }),
  devices: (name, status) => (name ? h(DeviceDetail, { key: name, name, status }) : h(DevicesView, { status })),
  add: (_, status) => h(AddDevice, { status }),
  points: (name, status) => (name ? h(PointsEditor, { key: name, name, status }) : h(DevicesView, { status })),
  import: (_, status) => h(ImportView, { status }),
  profiles: (name) => (name ? h(ProfileDetail, { key: name, name }) : h(ProfilesView)),
  buses: (name) => (name ? h(BusDetail, { key: name, name }) : h(BusesView)),
  find: (name) => (name ? h(SearchDetail, { key: name, name }) : h(FindView)),
  messages: (_, status) => h(MessagesView, { status }),
  tail: () => h(TailView),
  publish: () => h(PublishView),
  topics: (name, status) => (name ? h(TopicDetail, { key: name, name, status }) : h(TopicsView)),
  groups: (name) => (name ? h(GroupDetail, { key: name, name }) : h(GroupsView)),
  dead: (name) => h(DeadView, { key: name, name }),
  users: () => h(UsersView),
  certificates: () => h(CertificateView),
  audit: () => h(AuditView),
  trends: (_, status) => h(TrendsView, { status }),
  connections: (_, status) => h(ConnectionsView, { status }),
  system: () => h(SystemView),
  network: () => h(NetworkView),
  logs: () => h(LogsView),
  backup: (_, status) => h(BackupView, { status }),
  firmware: () => h(FirmwareView),
  uplinks: (name, status) => (name ? h(UplinkDetail, { key: name, name, status }) : h(UplinksView, { status })),
  alarms: (_, status) => h(AlarmsView, { status }),
  rules: (_, status) => h(RulesView, { status }),
  configuration: () => h(ConfigurationView),
  aside: (name, status) => (name ? h(AsideView, { key: name, name }) : h(UplinksView, { status })),
}

// Screen is what the address asks for.
export const Screen = (props: { status: Status }): VNode => screens[place.value.view](place.value.name, props.status)
Screen.props = ['status']
