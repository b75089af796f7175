package diagnosis

import (
	"slices"
	"strings"

	"sluice/collectors/bus"
)

// wrongPassword is the reason for which such a device is turned away, by its number in HJ 212.
const wrongPassword = 3

// strange is what the line says of somebody whom nobody expects.
const strange = "no device is configured for"

// asReported makes evidence of what the statistics tell of a line on which devices report by themselves.
// It is judged by rows of its own: nobody polls there, and there are no wires whose ends could be swapped.
func asReported(e *Evidence, before, now *bus.Stats) {
	e.Kind, e.Problem, e.OpenText = Reporting, NoProblem, ""
	for i := range e.Devices {
		d := &e.Devices[i]
		refused := func(s *bus.Stats) uint64 {
			at := slices.IndexFunc(s.Clients, func(c bus.ClientStats) bool { return c.Device == d.Name })
			if at < 0 {
				return 0
			}
			return s.Clients[at].Refused
		}
		if is, was := refused(now), refused(before); is > was {
			d.Refused = map[int]int{wrongPassword: int(is - was)} // #nosec G115 -- of a few minutes
		}
	}
	switch {
	case strings.Contains(now.LastError, strange):
		e.Problem, e.OpenText = NotOpen, now.LastError
	case !now.Open && now.LastError != "" && now.Exchanges == before.Exchanges:
		// Some loggers hang up after each report: that is in order.
		e.Problem, e.OpenText = NobodyCame, now.LastError
	}
}

// reportingRows are the table of such lines.
var reportingRows = []row{
	{
		name: "nobody-reports", ends: true,
		see: whole(func(e *Evidence) bool { return e.Problem == NobodyCame },
			"Nobody reports: %s.", "没有设备上报：%s。", func(e *Evidence) []any { return []any{e.OpenText} }),
		cause: Text{"No logger reaches the gateway: its server address or port is another, or the network between them lets nothing through.", "没有数采仪连接到网关：数采仪中的服务器地址或端口不对，或中间的网络不通。"},
		next:  Text{"Compare server address and port in the logger with the device's listen; then look at its SIM card, routers and firewalls.", "核对数采仪中的服务器地址和端口与设备的 listen 是否一致；再检查 SIM 卡、路由器和防火墙。"},
	},
	{
		name: "stranger-reports", apart: true,
		see: whole(func(e *Evidence) bool { return e.Problem == NotOpen },
			"Somebody is turned away: %s.", "有设备被拒绝：%s。", func(e *Evidence) []any { return []any{e.OpenText} }),
		cause: Text{"The number (MN) in the logger is not the one that a device of the configuration has.", "数采仪中的设备编号（MN）与配置中的设备不一致。"},
		next:  Text{"Write the number that is shown here into the device's mn, or add a device for this logger.", "把这里显示的编号写入设备的 mn，或为该数采仪新增一个设备。"},
	},
	{
		name: "password-differs", apart: true,
		see: each(func(_ *Evidence, d *Device) bool { return d.Refused[wrongPassword] > 0 },
			"%s sent %d packets with another password.", "%s 有 %d 个数据包的密码不符。", func(d *Device) []any { return []any{d.Refused[wrongPassword]} }),
		cause: Text{"The password (PW) in the logger is not the one in the configuration.", "数采仪中的密码（PW）与配置不一致。"},
		next:  Text{"Set the same password on both sides, or leave it out of the configuration.", "两边设置相同的密码，或在配置中去掉密码。"},
	},
	{
		name: "reports-damaged", apart: true,
		see: each(func(_ *Evidence, d *Device) bool { return d.share(d.Damaged+d.Garbled) >= some },
			"%s: %d of %d packets are damaged.", "%s：%d 个数据包损坏（共 %d 个）。", func(d *Device) []any { return []any{d.Damaged + d.Garbled, d.Exchanges} }),
		cause: Text{"The logger's modem or serial server drops or adds bytes, or the logger computes length or checksum in its own way.", "数采仪的 DTU 或串口服务器丢失、增加了字节，或数采仪计算长度、校验码的方法不同。"},
		next:  Text{"Look at the marked frames below: bytes that are missing point to the modem, a whole packet with a wrong checksum to the logger.", "查看下方标出的帧：缺字节说明问题在 DTU；数据包完整而校验码错误，说明问题在数采仪。"},
	},
	{
		name: "requests-unanswered", apart: true,
		see: each(func(_ *Evidence, d *Device) bool { return d.Silent > 0 },
			"%s left %d requests unanswered.", "%s 有 %d 个请求未应答。", func(d *Device) []any { return []any{d.Silent} }),
		cause: Text{"The logger reports, but does not carry out requests such as setting its clock or sending old reports.", "数采仪能上报，但不执行对时、补发历史数据等请求。"},
		next:  Text{"Check whether requests are allowed in the logger, and whether it follows the edition (2017 or 2005) that the device is set to.", "检查数采仪是否允许反控请求，以及其标准版本（2017 或 2005）是否与设备设置一致。"},
	},
}
