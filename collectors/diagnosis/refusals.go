package diagnosis

import (
	"maps"
	"slices"
)

// refused makes the see of a Modbus exception.
func refused(code int) func(*Evidence) []sight {
	return each(func(_ *Evidence, d *Device) bool { return d.Refused[code] > 0 },
		"%s refused %d requests with exception %d.", "%s 以异常码 %[3]d 拒绝了 %[2]d 个请求。", func(d *Device) []any { return []any{d.Refused[code], code} })
}

// refusalRows are about devices that answer and say no.
var refusalRows = []row{
	{
		name: "exception-2", apart: true, see: refused(2),
		cause: Text{"A register that was asked for does not exist, or a block crosses a hole in the device's map.", "请求的寄存器不存在，或读取的区块跨越了设备寄存器表的空洞。"},
		next:  Text{"Check the address for an offset of one (40001 is 0). Holes are learned: the plan shows how blocks were split.", "检查地址是否差 1（40001 对应 0）。空洞会被自动学习，可在计划页查看区块的拆分。"},
	},
	{
		name: "exception-1", apart: true, see: refused(1),
		cause: Text{"The device does not know the function: the point is in another area, or read only.", "设备不支持该功能码：点位属于另一个区，或为只读。"},
		next:  Text{"Try input registers (function 4) instead of holding registers (3), or the other way round.", "把保持寄存器（功能码 3）改为输入寄存器（功能码 4）试试，或反之。"},
	},
	{
		name: "exception-3", apart: true, see: refused(3),
		cause: Text{"The device does not take so many registers at once, or not this value.", "设备不支持一次读取这么多寄存器，或不接受写入的值。"},
		next:  Text{"Lower the device's limit of registers a request; for a write look at its permitted range.", "减小该设备每次请求的寄存器数量上限；写入时请核对允许范围。"},
	},
	{
		name: "exception-4", apart: true, see: refused(4),
		cause: Text{"The device has a fault of its own while it answers.", "设备在处理请求时自身出现故障。"},
		next:  Text{"Look at the device's own fault display; read its registers in smaller blocks.", "查看设备自身的故障显示；尝试用更小的区块读取。"},
	},
	{
		name: "exception-6", apart: true, see: refused(6),
		cause: Text{"The device is busy with something else.", "设备正忙于其他任务。"},
		next:  Text{"Poll it less often; the gateway already waits before it asks again.", "降低采集频率；网关已会等待后再询问。"},
	},
	{
		name: "exception-10", apart: true, see: refused(10),
		cause: Text{"The gateway device has no path to the unit: its serial side is not set up.", "网关设备没有到该站号的通路：其串口侧未配置。"},
		next:  Text{"Check in the converter which units its serial port serves.", "检查转换器串口侧所服务的站号。"},
	},
	{
		name: "exception-11", apart: true, see: refused(11),
		cause: Text{"The converter is there, the device behind it is silent: address, power or wiring of its serial side.", "转换器在线，但其后的设备无应答：请检查串口侧的地址、供电或接线。"},
		next:  Text{"Treat the converter's serial side as a bus of its own: baud rate, parity, A and B, the device's address.", "把转换器的串口侧当作独立总线检查：波特率、校验位、A/B 线和设备地址。"},
	},
	{
		name: "exception-other", apart: true,
		see: each(func(_ *Evidence, d *Device) bool { return len(others(d)) > 0 },
			"%s refused requests with the exceptions %v.", "%s 以异常码 %v 拒绝了请求。", func(d *Device) []any { return []any{others(d)} }),
		cause: Text{"The device refuses for a reason of its maker's.", "设备因厂商自定义的原因拒绝请求。"},
		next:  Text{"Look the code up in the device's manual.", "请在设备手册中查找该异常码。"},
	},
}

// deniedRows are about meters that say no in words of their own, which the line's frames show.
var deniedRows = []row{{
	name: "denied", apart: true,
	see: each(func(_ *Evidence, d *Device) bool { return d.Denied > 0 },
		"%s refused %d requests.", "%s 拒绝了 %d 个请求。", func(d *Device) []any { return []any{d.Denied} }),
	cause: Text{"The meter does not have what it was asked for, or does not permit it.", "电表或仪表没有所请求的数据，或不允许访问。"},
	next:  Text{"Read the meter's reason at the frame on this page, then compare the points with the meter's manual; for a write check the password.", "在本页的报文中查看拒绝原因，然后对照仪表手册核对点位；写入时请检查密码。"},
}}

// orderRows are about devices that answer well.
var orderRows = []row{
	{
		name: "words-swapped", apart: true,
		see: each(func(_ *Evidence, d *Device) bool { return d.Swapped > 0 },
			"%s: %d values are plausible only with their words in another order.", "%s：%d 个值只有交换字序后才合理。", func(d *Device) []any { return []any{d.Swapped} }),
		cause: Text{"The device sends the low word first.", "设备先发送低位字。"},
		next:  Text{"Open the byte-order helper and choose the form that agrees with the device's display.", "打开字节序助手，选择与设备显示一致的顺序。"},
	},
}

// named are the exceptions with a row of their own.
var named = []int{1, 2, 3, 4, 6, 10, 11}

// others gives the exceptions of a device that have none.
func others(d *Device) []int {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.Refused)), func(code int) bool {
		return slices.Contains(named, code) || d.Refused[code] == 0
	})
}
