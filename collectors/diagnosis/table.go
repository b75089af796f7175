package diagnosis

import (
	"slices"
	"time"
)

// Shares of exchanges from which on something is no chance.
const (
	some = 0.02
	// crowded is how busy a bus can be before polls run late.
	crowded = 0.95
	// tight is how much of the time-out an answer may take before some will miss it.
	tight = 0.8
)

// table is read from above: first whether the line is there, then whether anybody speaks on it, then
// what is said.
var table = slices.Concat(lineRows, speechRows, refusalRows, deniedRows, orderRows)

// mostly says that at least half of what came back was of one kind.
func mostly(n int, t Device) bool { return n >= enough && 2*n >= t.Exchanges-t.Silent }

// oneDamaged says that all damage is one device's, and that it has little else.
func oneDamaged(e *Evidence, d *Device) bool {
	t := e.total()
	damaged := d.Damaged + d.Garbled
	return len(e.Devices) > 1 && t.Answers > 0 && d.share(damaged) >= 0.5 && damaged == t.Damaged+t.Garbled
}

func anyDamagedAlone(e *Evidence) bool {
	return slices.ContainsFunc(e.Devices, func(d Device) bool { return oneDamaged(e, &d) })
}

// problem makes the see of a line that is not open.
func problem(kind OpenProblem) func(*Evidence) []sight {
	return whole(func(e *Evidence) bool { return e.Problem == kind },
		"The line is not open: %s.", "线路未打开：%s。", func(e *Evidence) []any { return []any{e.OpenText} })
}

var lineRows = []row{
	{
		name: "port-missing", ends: true, see: problem(Missing),
		cause: Text{"There is no such serial port: the adapter is not plugged in, or has another name.", "没有这个串口：USB 转换器未插好，或者名称变了。"},
		next:  Text{"Plug the adapter in, and choose the port from the list that the page shows.", "插好转换器，然后从页面列出的串口中选择。"},
	},
	{
		name: "port-forbidden", ends: true, see: problem(Forbidden),
		cause: Text{"The gateway may not open the port.", "网关没有打开该串口的权限。"},
		next:  Text{"Let the gateway's user into the group that the port belongs to (dialout).", "把网关的运行用户加入该串口所属的用户组（dialout）。"},
	},
	{
		name: "port-taken", ends: true, see: problem(Taken),
		cause: Text{"Another program has the port open.", "另一个程序正占用该串口。"},
		next:  Text{"End the other program; two masters on one port disturb each other.", "请结束另一个程序；同一串口上两个主站会互相干扰。"},
	},
	{
		name: "address-refused", ends: true, see: problem(Refused),
		cause: Text{"The device is there, but nobody listens at that port.", "设备在线，但该端口没有程序监听。"},
		next:  Text{"Check the port number (Modbus TCP has 502) and that the converter is set to TCP server.", "检查端口号（Modbus TCP 为 502），并确认转换器设为 TCP 服务器模式。"},
	},
	{
		name: "address-unreachable", ends: true, see: problem(Unreachable),
		cause: Text{"Nothing answers at that address: it is wrong, switched off, or in another network.", "该地址没有任何响应：地址错误、设备断电，或不在同一网络。"},
		next:  Text{"Check cable and power, then address and mask on both sides.", "先检查网线和电源，再核对双方的 IP 地址和子网掩码。"},
	},
	{
		name: "nobody-dialled-in", ends: true, see: problem(NobodyCame),
		cause: Text{"No DTU has connected to the gateway, or none with this registration packet.", "没有 DTU 连接到网关，或者注册包与配置不符。"},
		next:  Text{"Check the server address and port in the DTU, its SIM card, and the registration packet on both sides.", "检查 DTU 中的服务器地址和端口、SIM 卡，以及双方的注册包。"},
	},
	{
		name: "line-not-open", ends: true, see: problem(NotOpen),
		cause: Text{"The line cannot be opened.", "线路无法打开。"},
		next:  Text{"Read what the system says, and check the settings of the bus.", "查看系统给出的原因，并核对总线设置。"},
	},
	{
		name: "adapter-unplugged",
		see: whole(func(e *Evidence) bool { return e.Kind == Serial && e.HangUps > 0 },
			"The port went away %d times.", "串口消失了 %d 次。", func(e *Evidence) []any { return []any{e.HangUps} }),
		cause: Text{"The USB adapter loses contact or power.", "USB 转换器接触不良或供电不足。"},
		next:  Text{"Use another USB socket or a hub with its own supply, and fasten the plug.", "换一个 USB 口或使用带电源的集线器，并固定插头。"},
	},
	{
		name: "connection-cut",
		see: whole(func(e *Evidence) bool {
			t := e.total()
			return e.Kind != Serial && e.HangUps >= 2 && t.share(e.HangUps) >= some
		},
			"The other end closed the connection %d times.", "对方断开了连接 %d 次。", func(e *Evidence) []any { return []any{e.HangUps} }),
		cause: Text{"The device serves one connection only and another client takes it, or its idle time is shorter than the polling interval.", "设备只支持一个连接而被其他客户端抢占，或其空闲超时短于采集间隔。"},
		next:  Text{"End other clients of the device, and raise its idle time-out or number of connections.", "关闭访问该设备的其他客户端，并调大设备的空闲超时或连接数。"},
	},
}

var speechRows = []row{
	{
		name: "speaks-tcp", ends: true,
		see: whole(func(e *Evidence) bool { return e.SpeaksTCP > 0 },
			"%d answers have a Modbus TCP header where RTU or ASCII was expected.", "期望 RTU 或 ASCII 报文，却收到 %d 个带 Modbus TCP 报文头的应答。", func(e *Evidence) []any { return []any{e.SpeaksTCP} }),
		cause: Text{"The converter speaks Modbus TCP, and the gateway is set to RTU or ASCII over TCP.", "转换器使用的是 Modbus TCP，而网关设置为 RTU 或 ASCII over TCP。"},
		next:  Text{"Set the device's mode to Modbus TCP, or the converter to transparent.", "把设备模式改为 Modbus TCP，或把转换器改为透明传输。"},
	},
	{
		name: "speaks-rtu", ends: true,
		see: whole(func(e *Evidence) bool { return e.SpeaksRTU > 0 },
			"%d answers are RTU frames where Modbus TCP or ASCII was expected.", "期望 Modbus TCP 或 ASCII 报文，却收到 %d 个 RTU 帧。", func(e *Evidence) []any { return []any{e.SpeaksRTU} }),
		cause: Text{"The converter is transparent or the device speaks RTU, and the gateway is set to Modbus TCP or ASCII.", "转换器为透明传输或设备使用 RTU，而网关设置为 Modbus TCP 或 ASCII。"},
		next:  Text{"Set the device's mode to RTU over TCP, or the converter to Modbus gateway.", "把设备模式改为 RTU over TCP，或把转换器改为 Modbus 网关模式。"},
	},
	{
		name: "speaks-ascii", ends: true,
		see: whole(func(e *Evidence) bool { return e.SpeaksASCII > 0 },
			"%d answers are in Modbus ASCII where RTU or Modbus TCP was expected.", "期望 RTU 或 Modbus TCP 报文，却收到 %d 个 Modbus ASCII 应答。", func(e *Evidence) []any { return []any{e.SpeaksASCII} }),
		cause: Text{"The device speaks Modbus ASCII, and the gateway is set to another form of Modbus.", "设备使用 Modbus ASCII，而网关设置为其他 Modbus 格式。"},
		next:  Text{"Set the device's mode to ASCII (over TCP where there is a converter), or the device to RTU.", "把设备模式改为 ASCII（经转换器时为 ASCII over TCP），或把设备改为 RTU。"},
	},
	{
		name: "only-echo", ends: true,
		see: whole(func(e *Evidence) bool { t := e.total(); return e.EchoOnly >= enough && t.Answers == 0 },
			"In %d exchanges nothing but the own request was heard.", "%d 次交互中只收到自己发出的请求。", func(e *Evidence) []any { return []any{e.EchoOnly} }),
		cause: Text{"The adapter hears itself and nobody answers: it sends, but no device understands, or A and B are swapped.", "转换器只听到自己的回声，没有设备应答：设备听不懂，或 A、B 线接反。"},
		next:  Text{"Swap A and B, then check the device's address and baud rate.", "先对调 A、B 线，再检查设备地址和波特率。"},
	},
	{
		name: "echo-in-the-way",
		see: whole(func(e *Evidence) bool { return e.EchoOff && e.Echoes > 0 },
			"The own request came back before %d answers.", "%d 个应答之前收到了自己发出的请求。", func(e *Evidence) []any { return []any{e.Echoes} }),
		cause: Text{"The half-duplex adapter echoes what the gateway sends.", "半双工转换器会回送网关发出的数据。"},
		next:  Text{"Set echo of the bus to auto or on, so that it is cut off.", "把总线的回声设置改为 auto 或 on，网关会自动去除。"},
	},
	{
		name: "all-silent", ends: true,
		see: whole(func(e *Evidence) bool { t := e.total(); return t.dead() && e.EchoOnly == 0 },
			"Not one byte came back in %d exchanges with %d devices.", "%d 次交互（%d 台设备）没有收到一个字节。", func(e *Evidence) []any { return []any{e.total().Exchanges, len(e.Devices)} }),
		cause: Text{"Nobody on the bus hears the gateway: wiring broken, A and B swapped, wrong baud rate or parity, or no bias on the line.", "总线上没有设备听到网关：断线、A/B 接反、波特率或校验位错误，或总线没有偏置电阻。"},
		next:  Text{"Measure between A and B (0.2 to 5 V when idle), swap A and B, then let the scanner try other baud rates.", "测量 A、B 间电压（空闲时 0.2～5 V），对调 A/B 线，再用扫描功能尝试其他波特率。"},
	},
	{
		name: "only-noise", ends: true,
		see: whole(func(e *Evidence) bool { t := e.total(); return t.Answers == 0 && mostly(t.Garbled, t) },
			"Bytes came in %d of %d exchanges, and no frame.", "%d 次交互收到字节（共 %d 次），但没有一帧有效报文。", func(e *Evidence) []any { t := e.total(); return []any{t.Garbled, t.Exchanges} }),
		cause: Text{"Somebody answers at another speed: baud rate, data bits or the protocol differ.", "有设备应答，但速率不同：波特率、数据位或协议不一致。"},
		next:  Text{"Look at the device's display for its baud rate, or let the scanner try all of them.", "在设备面板上查看波特率，或用扫描功能逐一尝试。"},
	},
	{
		name: "all-damaged", ends: true,
		see: whole(func(e *Evidence) bool { t := e.total(); return t.Answers == 0 && mostly(t.Damaged, t) },
			"All %d answers have a wrong checksum.", "%d 个应答的校验码全部错误。", func(e *Evidence) []any { return []any{e.total().Damaged} }),
		cause: Text{"Parity or stop bits differ from the device's, or the checksum is another one.", "校验位或停止位与设备不一致，或校验算法不同。"},
		next:  Text{"Try 8E1 instead of 8N1, and the other way round; then 8N2.", "将 8N1 改为 8E1 试试，或反之；然后试 8N2。"},
	},
	{
		name: "parity-errors",
		see: whole(func(e *Evidence) bool { return e.Parity > 0 },
			"%d characters came with a parity or framing error.", "%d 个字符出现校验位或帧错误。", func(e *Evidence) []any { return []any{e.Parity} }),
		cause: Text{"Parity or stop bits differ from a device's, or its clock is off.", "校验位或停止位与某台设备不一致，或设备时钟偏差过大。"},
		next:  Text{"Compare parity and stop bits with every device on the bus.", "逐台核对总线上设备的校验位和停止位。"},
	},
	{
		name: "two-masters",
		see: whole(func(e *Evidence) bool { return e.ForeignRequests > 0 },
			"%d requests were heard that the gateway did not send.", "听到 %d 个不是网关发出的请求。", func(e *Evidence) []any { return []any{e.ForeignRequests} }),
		cause: Text{"A second master polls the same bus: a PLC, a panel or another gateway.", "总线上有第二个主站在轮询：PLC、触摸屏或另一台网关。"},
		next:  Text{"Take one master off, or let it read from the gateway instead.", "去掉其中一个主站，或让它改为从网关读取。"},
	},
	{
		name: "unit-answers-for-another",
		see: each(func(e *Evidence, d *Device) bool { return d.share(d.WrongUnit) >= some && e.ForeignRequests == 0 },
			"%s: %d answers came from a unit that was not asked.", "%s：%d 个应答来自未被询问的站号。", func(d *Device) []any { return []any{d.WrongUnit} }),
		cause: Text{"The converter answers with a fixed unit number, or two devices have mixed up addresses.", "转换器使用固定站号应答，或两台设备的地址混淆。"},
		next:  Text{"Ask with the unit that answers, or disconnect devices one by one until the answer stops.", "改用应答的站号，或逐台断开设备直到该应答消失。"},
	},
	{
		name: "one-silent",
		see: each(func(e *Evidence, d *Device) bool { t := e.total(); return d.dead() && t.Answers > 0 },
			"%s did not send one byte in %d exchanges, others on the bus answer.", "%s 在 %d 次交互中没有发出一个字节，总线上其他设备正常。", func(d *Device) []any { return []any{d.Exchanges} }),
		cause: Text{"The device has another address or baud rate, or no power.", "该设备地址或波特率不同，或没有供电。"},
		next:  Text{"Look at the device: power, address, baud rate; then scan the bus for it.", "检查该设备的供电、地址、波特率，然后扫描总线查找它。"},
	},
	{
		name: "one-damaged",
		see: each(oneDamaged,
			"%s: %d of %d answers are damaged, all others come whole.", "%s：%d 个应答损坏（共 %d 次），其他设备正常。", func(d *Device) []any { return []any{d.Damaged + d.Garbled, d.Exchanges} }),
		cause: Text{"Two devices have this address and answer at once, or this one has another parity.", "两台设备使用同一地址并同时应答，或该设备校验位不同。"},
		next:  Text{"Disconnect the device: if something still answers, two have its address.", "断开该设备：若仍有应答，说明地址重复。"},
	},
	{
		name: "some-damaged",
		see: whole(func(e *Evidence) bool {
			t := e.total()
			return t.Answers > 0 && t.share(t.Damaged+t.Garbled) >= some && !anyDamagedAlone(e) && e.ForeignRequests == 0
		},
			"%d of %d answers are damaged.", "%d 个应答损坏（共 %d 次交互）。", func(e *Evidence) []any { t := e.total(); return []any{t.Damaged + t.Garbled, t.Exchanges} }),
		cause: Text{"The line is disturbed: no termination at its ends, stubs, no common ground, cable beside a motor's, or a second master.", "线路受干扰：两端没有终端电阻、分支过长、没有共地、与电机电缆并行，或存在第二个主站。"},
		next:  Text{"Put 120 ohms at both ends and nowhere else, connect the grounds, lower the baud rate to see whether it helps.", "只在两端各接 120 Ω 终端电阻，连接地线；可降低波特率观察是否改善。"},
	},
	{
		name: "time-out-too-short",
		see: each(func(e *Evidence, d *Device) bool {
			late := d.Late > 0 && e.ForeignRequests == 0 || d.Silent > 0 && d.Timeout > 0 && float64(d.RTTMax) >= tight*float64(d.Timeout)
			return d.Answers+d.Late > 0 && late
		},
			"%s: %d answers came after the time-out, the slowest in time took %v of %v.", "%s：%d 个应答在超时之后才到，最慢的有效应答用时 %v（超时 %v）。", func(d *Device) []any { return []any{d.Late, d.RTTMax.Round(time.Millisecond / 10), d.Timeout} }),
		cause: Text{"The device, or a radio or converter on the way, is slower than the time-out.", "设备或途中的电台、转换器比超时时间更慢。"},
		next:  Text{"Raise the device's time-out to twice the slowest answer.", "把该设备的超时时间调到最慢应答的两倍。"},
	},
	{
		name: "answers-missing",
		see: each(func(_ *Evidence, d *Device) bool { return d.Answers > 0 && d.share(d.Silent) >= some },
			"%s left %d of %d requests unanswered.", "%s 有 %d 个请求未应答（共 %d 个）。", func(d *Device) []any { return []any{d.Silent, d.Exchanges} }),
		cause: Text{"Requests reach the device damaged, or come too soon after the last answer.", "请求到达设备时已损坏，或与上一个应答间隔太短。"},
		next:  Text{"Set a turnaround of 20 to 50 ms for the bus; then look at termination and grounding.", "为总线设置 20～50 ms 的切换间隔，然后检查终端电阻和接地。"},
	},
	{
		name: "bytes-unasked",
		see: whole(func(e *Evidence) bool {
			t := e.total()
			return e.Unasked >= enough && float64(e.Unasked) >= some*float64(t.Exchanges) && e.ForeignRequests == 0
		},
			"%d bytes came while nobody was asked.", "未发出请求时收到 %d 个字节。", func(e *Evidence) []any { return []any{e.Unasked} }),
		cause: Text{"The idle line floats for lack of bias, or a device speaks by itself.", "总线没有偏置而悬空，或有设备主动上报。"},
		next:  Text{"Add bias resistors at one place (560 ohms to 5 V and ground); for a device that pushes choose its driver.", "在一处加偏置电阻（560 Ω 接 5 V 和地）；若设备主动上报，请选用相应驱动。"},
	},
	{
		name: "bus-crowded",
		see: whole(func(e *Evidence) bool { return e.Busy >= crowded },
			"The bus is busy for %.0f%% of the time.", "总线占用率为 %.0f%%。", func(e *Evidence) []any { return []any{100 * e.Busy} }),
		cause: Text{"More is asked than the line can carry: polls run late.", "请求量超过线路能力：采集会延迟。"},
		next:  Text{"Raise the baud rate, poll slow values less often, or put devices on a second bus; silent devices cost their time-out.", "提高波特率，降低慢变量的采集频率，或把部分设备移到另一条总线；无应答设备会占用其超时时间。"},
	},
}
