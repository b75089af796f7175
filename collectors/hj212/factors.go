package hj212

import "slices"

// Known is what the standards say about a code. HJ 212-2017 takes the codes of water from HJ 525 and
// those of air from HJ 524; the three digits are those of 2005.
type Known struct{ Code, English, Chinese, Unit string }

// Table gives the codes that are met most, in the order of their codes.
func Table() []Known { return slices.Clone(table) }

// Lookup gives what is known about a code.
func Lookup(code string) (Known, bool) {
	at, found := slices.BinarySearchFunc(table, code, func(k Known, code string) int {
		switch {
		case k.Code < code:
			return -1
		case k.Code > code:
			return 1
		}
		return 0
	})
	if !found {
		return Known{}, false
	}
	return table[at], true
}

// table is sorted by code. Gases and dust have no unit here: flue gas is told in mg/m3, ambient air mostly
// in μg/m3, under the same codes.
var table = []Known{
	{"001", "pH", "pH值", ""},
	{"003", "suspended solids", "悬浮物", "mg/L"},
	{"010", "biochemical oxygen demand", "生化需氧量", "mg/L"},
	{"011", "chemical oxygen demand", "化学需氧量", "mg/L"},
	{"060", "ammonia nitrogen", "氨氮", "mg/L"},
	{"065", "total nitrogen", "总氮", "mg/L"},
	{"101", "total phosphorus", "总磷", "mg/L"},
	{"B01", "waste water flow", "污水流量", "L/s"},
	{"B02", "waste gas flow", "废气流量", "m3/s"},
	{"S01", "oxygen", "氧气含量", "%"},
	{"S02", "flue gas velocity", "烟气流速", "m/s"},
	{"S03", "flue gas temperature", "烟气温度", "°C"},
	{"S05", "flue gas humidity", "烟气湿度", "%"},
	{"S08", "flue gas pressure", "烟气压力", ""},
	{"a00000", "waste gas flow", "废气", ""},
	{"a01001", "air temperature", "温度", "°C"},
	{"a01002", "humidity", "湿度", "%"},
	{"a01006", "air pressure", "气压", "kPa"},
	{"a01007", "wind speed", "风速", "m/s"},
	{"a01008", "wind direction", "风向", "°"},
	{"a01011", "flue gas velocity", "烟气流速", "m/s"},
	{"a01012", "flue gas temperature", "烟气温度", "°C"},
	{"a01013", "flue gas pressure", "烟气压力", ""},
	{"a01014", "flue gas humidity", "烟气湿度", "%"},
	{"a05001", "carbon dioxide", "二氧化碳", ""},
	{"a05024", "ozone", "臭氧", ""},
	{"a19001", "oxygen", "氧气含量", "%"},
	{"a21001", "ammonia", "氨", ""},
	{"a21002", "nitrogen oxides", "氮氧化物", ""},
	{"a21003", "nitrogen monoxide", "一氧化氮", ""},
	{"a21004", "nitrogen dioxide", "二氧化氮", ""},
	{"a21005", "carbon monoxide", "一氧化碳", ""},
	{"a21024", "hydrogen chloride", "氯化氢", ""},
	{"a21026", "sulphur dioxide", "二氧化硫", ""},
	{"a21028", "hydrogen sulphide", "硫化氢", ""},
	{"a24088", "non-methane hydrocarbons", "非甲烷总烃", ""},
	{"a34001", "total suspended particles", "总悬浮颗粒物", ""},
	{"a34002", "PM10", "可吸入颗粒物", ""},
	{"a34004", "PM2.5", "细颗粒物", ""},
	{"a34013", "dust", "烟尘", ""},
	{"w00000", "waste water flow", "污水", "L/s"},
	{"w01001", "pH", "pH值", ""},
	{"w01003", "turbidity", "浑浊度", "NTU"},
	{"w01009", "dissolved oxygen", "溶解氧", "mg/L"},
	{"w01010", "water temperature", "水温", "°C"},
	{"w01012", "suspended solids", "悬浮物", "mg/L"},
	{"w01014", "conductivity", "电导率", "μS/cm"},
	{"w01017", "biochemical oxygen demand", "五日生化需氧量", "mg/L"},
	{"w01018", "chemical oxygen demand", "化学需氧量", "mg/L"},
	{"w01019", "permanganate index", "高锰酸盐指数", "mg/L"},
	{"w01020", "total organic carbon", "总有机碳", "mg/L"},
	{"w20111", "mercury", "总汞", "μg/L"},
	{"w20115", "cadmium", "总镉", "μg/L"},
	{"w20116", "chromium", "总铬", "mg/L"},
	{"w20117", "chromium (VI)", "六价铬", "μg/L"},
	{"w20119", "arsenic", "总砷", "μg/L"},
	{"w20120", "lead", "总铅", "μg/L"},
	{"w20121", "nickel", "总镍", "mg/L"},
	{"w20122", "copper", "总铜", "mg/L"},
	{"w20123", "zinc", "总锌", "mg/L"},
	{"w21001", "total nitrogen", "总氮", "mg/L"},
	{"w21003", "ammonia nitrogen", "氨氮", "mg/L"},
	{"w21011", "total phosphorus", "总磷", "mg/L"},
}
