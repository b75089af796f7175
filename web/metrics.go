package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// metricsType is the Prometheus text exposition format.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

func (s *Server) metrics(c *gin.Context) {
	write(c, http.StatusOK, metricsType, []byte(exposition(s.current(nil).Status)))
}

// exposition writes status for Prometheus. The samples of one name stand together under their HELP
// and TYPE lines, as the format demands. Values of points are left out: the endpoint needs no
// password.
func exposition(status Status) string {
	var e metricWriter
	e.one("sluice_info", "gauge", "The gateway and its version.", 1, "gateway", status.Gateway, "version", status.Version)
	e.one("sluice_start_time_seconds", "gauge", "When the gateway started, in Unix time.", seconds(status.Started))
	e.devices(status.Devices)
	e.uplinks(status.Uplinks)
	e.lanes(status.Uplinks)
	e.abandoned(status.Abandoned)
	e.durableLog(status.Log)
	e.alarms(status.Alarms)
	e.mqtt(status.MQTT)
	e.rocketmq(status.RocketMQ)
	if demo := status.Demo; demo != nil {
		e.one("sluice_demo_line_up", "gauge", "1 while the demo's line to the cloud is up.", truth(demo.LineUp))
		e.one("sluice_demo_received_total", "counter", "Readings that the demo's cloud received.", float64(demo.Received))
		e.one("sluice_demo_gaps_total", "counter", "Readings that the demo's cloud never got.", float64(demo.Gaps))
		e.one("sluice_demo_duplicates_total", "counter", "Readings that the demo's cloud got twice.", float64(demo.Duplicates))
		e.one("sluice_demo_reordered_total", "counter", "Readings that the demo's cloud got late.", float64(demo.Reordered))
	}
	return e.text.String()
}

func (e *metricWriter) devices(devices []Device) {
	family(e, "sluice_device_up", "gauge", "1 while the device answers.", devices, func(d Device) (float64, bool) {
		return truth(d.State == "online" || d.State == "degraded"), true
	})
	e.head("sluice_device_state", "gauge", "1 with the state that the device is in.")
	for _, d := range devices {
		e.sample("sluice_device_state", 1, append(d.labels(), "state", d.State)...)
	}
	family(e, "sluice_device_polls_total", "counter", "Polls of the device.", devices, func(d Device) (float64, bool) { return float64(d.Polls), true })
	family(e, "sluice_device_failures_total", "counter", "Polls that failed.", devices, func(d Device) (float64, bool) { return float64(d.Failures), true })
	family(e, "sluice_device_readings_total", "counter", "Readings that are durable.", devices, func(d Device) (float64, bool) { return float64(d.Readings), true })
	family(e, "sluice_device_seq", "gauge", "Number of the device's last reading.", devices, func(d Device) (float64, bool) { return float64(d.Seq), true })
	family(e, "sluice_device_last_poll_timestamp_seconds", "gauge", "When the device was last polled, in Unix time.", devices, func(d Device) (float64, bool) { return moment(d.LastPoll) })
}

func (e *metricWriter) uplinks(uplinks []Uplink) {
	family(e, "sluice_uplink_up", "gauge", "1 while the uplink is connected.", uplinks, func(u Uplink) (float64, bool) { return truth(u.State == "online"), true })
	e.head("sluice_uplink_state", "gauge", "1 with the state that the uplink is in.")
	for _, u := range uplinks {
		e.sample("sluice_uplink_state", 1, append(u.labels(), "state", u.State)...)
	}
	family(e, "sluice_uplink_backlog_messages", "gauge", "Messages that the cloud has not acknowledged.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Backlog), true })
	family(e, "sluice_uplink_backlog_bytes", "gauge", "Bytes that the log keeps on disk for the uplink's slowest route.", uplinks, func(u Uplink) (float64, bool) { return float64(u.BacklogBytes), true })
	family(e, "sluice_uplink_oldest_timestamp_seconds", "gauge", "When the oldest waiting message was taken, in Unix time.", uplinks, func(u Uplink) (float64, bool) { return moment(u.Oldest) })
	family(e, "sluice_uplink_in_flight_messages", "gauge", "Messages sent and not yet acknowledged.", uplinks, func(u Uplink) (float64, bool) { return float64(u.InFlight), true })
	family(e, "sluice_uplink_sent_total", "counter", "Messages that the cloud acknowledged.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Sent), true })
	family(e, "sluice_uplink_repeated_total", "counter", "Messages sent again after a lost connection.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Repeated), true })
	family(e, "sluice_uplink_set_aside_total", "counter", "Messages kept under $dead/ because the cloud does not want them.", uplinks, func(u Uplink) (float64, bool) { return float64(u.SetAside), true })
	family(e, "sluice_uplink_stalls_total", "counter", "Connections given up because nothing was acknowledged any more.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Stalls), true })
	family(e, "sluice_uplink_looped_total", "counter", "Messages that came down although they had been here before, and were dropped.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Looped), true })
	family(e, "sluice_uplink_tries_total", "counter", "Tries to connect.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Tries), true })
	family(e, "sluice_uplink_failed_tries", "gauge", "Tries in a row that have led to no connection.", uplinks, func(u Uplink) (float64, bool) { return float64(u.Failed), true })
	family(e, "sluice_uplink_next_try_timestamp_seconds", "gauge", "When the next try to connect begins, in Unix time.", uplinks, func(u Uplink) (float64, bool) { return moment(u.NextTry) })
	family(e, "sluice_uplink_drain_seconds", "gauge", "Until the backlog is gone at the present rate.", uplinks, func(u Uplink) (float64, bool) {
		if u.Drain == nil {
			return 0, false
		}
		return *u.Drain, true
	})
}

// lanes writes what is told of each lane of each route.
func (e *metricWriter) lanes(uplinks []Uplink) {
	for _, one := range []struct {
		name, help string
		value      func(UplinkLane) float64
	}{
		{"sluice_uplink_lane_backlog_messages", "Messages of one lane of a route that the cloud has not acknowledged.", func(l UplinkLane) float64 { return float64(l.Backlog) }},
		{"sluice_uplink_lane_paused", "1 while the configured hours hold the lane back.", func(l UplinkLane) float64 { return truth(l.PausedUntil != nil) }},
	} {
		e.head(one.name, "gauge", one.help)
		for _, u := range uplinks {
			for _, r := range u.Routes {
				for _, l := range r.Lanes {
					e.sample(one.name, one.value(l), append(u.labels(), "route", r.From, "lane", l.Name)...)
				}
			}
		}
	}
}

func (e *metricWriter) abandoned(routes []Abandoned) {
	family(e, "sluice_abandoned_messages", "gauge", "Messages that the log keeps for a route that is no longer configured.", routes, func(a Abandoned) (float64, bool) { return float64(a.Messages), true })
	family(e, "sluice_abandoned_bytes", "gauge", "Bytes that the log keeps for a route that is no longer configured.", routes, func(a Abandoned) (float64, bool) { return float64(a.Bytes), true })
}

func (e *metricWriter) alarms(count AlarmCount) {
	e.head("sluice_alarms_active", "gauge", "Alarms that are raised.")
	e.sample("sluice_alarms_active", float64(count.Critical), "severity", "critical")
	e.sample("sluice_alarms_active", float64(count.Warning), "severity", "warning")
	e.sample("sluice_alarms_active", float64(count.Info), "severity", "info")
	e.head("sluice_alarms_unacknowledged", "gauge", "Alarms that nobody has acknowledged.")
	e.sample("sluice_alarms_unacknowledged", float64(count.Unacknowledged))
}

func (e *metricWriter) durableLog(log Log) {
	e.one("sluice_log_state", "gauge", "1 with the state that the log is in.", 1, "state", log.State)
	e.one("sluice_log_messages", "gauge", "Messages in the log.", float64(log.Messages))
	e.one("sluice_log_bytes", "gauge", "Bytes that the log takes on disk.", float64(log.Bytes))
	e.one("sluice_log_limit_bytes", "gauge", "Bytes that the log may take on disk.", float64(log.Limit))
	e.one("sluice_log_first_position", "gauge", "First position in the log.", float64(log.First))
	e.one("sluice_log_last_position", "gauge", "Last position in the log.", float64(log.Last))
	if oldest, known := moment(log.Oldest); known {
		e.one("sluice_log_oldest_timestamp_seconds", "gauge", "When the oldest message in the log was taken, in Unix time.", oldest)
	}
	e.one("sluice_log_dropped_total", "counter", "Messages dropped at the disk limit.", float64(log.Dropped))
	// Not one by one: names of sessions are nobody's business here, and there may be thousands.
	e.one("sluice_log_cursors", "gauge", "Cursors that keep messages in the log.", float64(log.CursorsTotal))
	e.one("sluice_log_cursors_expired_total", "counter", "Cursors that expired because nobody used them.", float64(log.Expired))
}

func (e *metricWriter) mqtt(mqtt MQTT) {
	e.one("sluice_mqtt_connections", "gauge", "MQTT clients that are connected.", float64(mqtt.Connections))
	e.one("sluice_mqtt_received_total", "counter", "Messages that MQTT clients sent.", float64(mqtt.Received))
	e.one("sluice_mqtt_delivered_total", "counter", "Messages that MQTT clients got.", float64(mqtt.Delivered))
	e.one("sluice_mqtt_dropped_total", "counter", "Messages dropped for MQTT clients that were too slow.", float64(mqtt.Dropped))
	e.one("sluice_mqtt_unreadable_total", "counter", "Compressed messages of RocketMQ producers that MQTT clients and clouds got as they were.", float64(mqtt.Unreadable))
	e.one("sluice_mqtt_sessions_sleeping", "gauge", "MQTT sessions whose client is away.", float64(mqtt.Sleeping))
	e.one("sluice_mqtt_unwelcome_total", "counter", "MQTT clients refused for want of the right password or certificate.", float64(mqtt.Unwelcome))
	e.one("sluice_mqtt_excess_total", "counter", "Connections refused because there were too many.", float64(mqtt.Excess))
}

func (e *metricWriter) rocketmq(r *RocketMQ) {
	if r == nil {
		return
	}
	e.one("sluice_rocketmq_connections", "gauge", "RocketMQ clients that are connected.", float64(r.Connections))
	e.one("sluice_rocketmq_received_total", "counter", "Messages that RocketMQ producers sent.", float64(r.Received))
	e.one("sluice_rocketmq_delivered_total", "counter", "Messages that RocketMQ consumers got.", float64(r.Delivered))
	e.one("sluice_rocketmq_consumer_groups", "gauge", "Consumer groups with a client.", float64(r.Groups))
	e.one("sluice_rocketmq_producer_groups", "gauge", "Producer groups with a client.", float64(r.Producers))
	e.one("sluice_rocketmq_waiting", "gauge", "Requests that wait for a message.", float64(r.Waiting))
	e.one("sluice_rocketmq_unwelcome_total", "counter", "Requests without the right signature, or not allowed.", float64(r.Unwelcome))
	e.one("sluice_rocketmq_excess_total", "counter", "Connections refused because there were too many.", float64(r.Excess))
	if five := r.GRPC; five != nil {
		e.one("sluice_rocketmq5_connections", "gauge", "Connections of RocketMQ 5 clients.", float64(five.Connections))
		e.one("sluice_rocketmq5_received_total", "counter", "Messages that RocketMQ 5 producers sent.", float64(five.Received))
		e.one("sluice_rocketmq5_delivered_total", "counter", "Messages that RocketMQ 5 consumers got.", float64(five.Delivered))
		e.one("sluice_rocketmq5_consumer_groups", "gauge", "Consumer groups with a RocketMQ 5 client.", float64(five.Groups))
		e.one("sluice_rocketmq5_producers", "gauge", "RocketMQ 5 clients that send.", float64(five.Producers))
		e.one("sluice_rocketmq5_waiting", "gauge", "Calls of RocketMQ 5 clients that wait for a message.", float64(five.Waiting))
		e.one("sluice_rocketmq5_unwelcome_total", "counter", "Calls of RocketMQ 5 clients without the right signature, or not allowed.", float64(five.Unwelcome))
		e.one("sluice_rocketmq5_excess_total", "counter", "Connections of RocketMQ 5 clients refused because there were too many.", float64(five.Excess))
	}
	if len(r.NameServers) > 0 {
		registered := 0
		for _, one := range r.NameServers {
			if one.State == "registered" {
				registered++
			}
		}
		// Not one by one: where they are is nobody's business here.
		e.one("sluice_rocketmq_name_servers", "gauge", "Name servers of the cluster that the gateway joins.", float64(len(r.NameServers)))
		e.one("sluice_rocketmq_registered", "gauge", "Name servers that the gateway is registered with.", float64(registered))
	}
}

func (d Device) labels() []string    { return []string{"device", d.Name, "driver", d.Driver} }
func (u Uplink) labels() []string    { return []string{"uplink", u.Name, "driver", u.Driver} }
func (a Abandoned) labels() []string { return []string{"uplink", a.Uplink, "route", a.From} }

// family writes one sample for each item that has one.
func family[T interface{ labels() []string }](e *metricWriter, name, kind, help string, items []T, value func(T) (float64, bool)) {
	e.head(name, kind, help)
	for _, item := range items {
		if v, ok := value(item); ok {
			e.sample(name, v, item.labels()...)
		}
	}
}

// metricWriter writes the text exposition format.
type metricWriter struct{ text strings.Builder }

func (e *metricWriter) one(name, kind, help string, value float64, labels ...string) {
	e.head(name, kind, help)
	e.sample(name, value, labels...)
}

func (e *metricWriter) head(name, kind, help string) {
	fmt.Fprintf(&e.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes one line; labels are names and values in turn.
func (e *metricWriter) sample(name string, value float64, labels ...string) {
	e.text.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		opening := byte(',')
		if i == 0 {
			opening = '{'
		}
		e.text.WriteByte(opening)
		e.text.WriteString(labels[i] + `="` + labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")) + `"`)
	}
	if len(labels) > 0 {
		e.text.WriteByte('}')
	}
	e.text.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func moment(t *time.Time) (float64, bool) {
	if t == nil || t.IsZero() {
		return 0, false
	}
	return seconds(*t), true
}
