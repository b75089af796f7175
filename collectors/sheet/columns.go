package sheet

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Column is what a column of a table holds.
type Column string

// The columns that are known. A column that is none of them may still be a key of the driver.
const (
	Name        Column = "name"
	Address     Column = "address"
	Area        Column = "area" // or the function code, beside addresses that are plain numbers
	Bit         Column = "bit"
	Type        Column = "type"
	Order       Column = "order"
	Length      Column = "length"
	Scale       Column = "scale"
	Offset      Column = "offset"
	Unit        Column = "unit"
	Access      Column = "access"
	Group       Column = "group"
	Deadband    Column = "deadband"
	Description Column = "description"
	Station     Column = "station"
	ID          Column = "id"     // of DL/T 645
	Format      Column = "format" // of DL/T 645
)

// columns are the headings that each is written with and known by, in the order of an export. The
// words are compared without case, blanks and marks.
var columns = []struct {
	column  Column
	heading string
	number  bool
	words   []string
}{
	{Name, "name", false, []string{"tag", "tag name", "point", "point name", "variable", "parameter", "signal", "item", "名称", "点名", "点位名称", "点位", "标签", "标签名称", "变量", "变量名", "变量名称", "参数名称", "参数", "信号名称", "测点名称", "数据项"}},
	{Address, "address", false, []string{"register", "register address", "addr", "modbus address", "reg", "reg address", "start address", "address dec", "地址", "寄存器地址", "寄存器", "点位地址", "变量地址", "起始地址", "参数地址", "数据地址", "通讯地址", "通信地址"}},
	{Area, "area", false, []string{"function code", "function", "fc", "register type", "table", "object type", "memory area", "功能码", "寄存器类型", "区域", "存储区", "寄存器区"}},
	{Bit, "bit", true, []string{"bit number", "bit position", "位", "位号", "位地址", "位偏移"}},
	{Type, "type", false, []string{"data type", "datatype", "format type", "value type", "类型", "数据类型", "变量类型", "点位类型", "数值类型"}},
	{Order, "order", false, []string{"byte order", "word order", "endian", "endianness", "byte swap", "字节序", "字节顺序", "字序", "大小端", "解析顺序"}},
	{Length, "length", true, []string{"len", "string length", "bytes", "长度", "字节数", "字符长度"}},
	{Scale, "scale", true, []string{"factor", "multiplier", "gain", "ratio", "coefficient", "decimal", "slope", "系数", "倍率", "比例", "比例系数", "缩放", "乘系数", "倍数"}},
	{Offset, "offset", true, []string{"bias", "intercept", "偏移", "偏移量", "基数", "偏置"}},
	{Unit, "unit", false, []string{"units", "eng units", "engineering unit", "engineering units", "unit of measure", "uom", "单位", "工程单位"}},
	{Access, "access", false, []string{"attribute", "rw", "r w", "read write", "client access", "permission", "mode", "读写", "读写属性", "属性", "访问", "权限", "读写权限", "读写类型", "访问权限"}},
	{Group, "group", false, []string{"scan group", "group name", "组", "分组", "组名", "采集组", "点位组"}},
	{Deadband, "deadband", true, []string{"dead band", "hysteresis", "死区", "变化阈值"}},
	{Description, "description", false, []string{"desc", "comment", "remark", "remarks", "note", "notes", "label", "描述", "备注", "说明", "注释", "点位描述", "含义"}},
	{Station, "station", true, []string{"slave", "slave id", "slave address", "station number", "unit id", "device id", "device address", "node", "站号", "从站", "从站号", "从站地址", "设备地址", "单元号", "设备站号"}},
	{ID, "id", false, []string{"data identifier", "identifier", "di", "数据标识", "标识符", "数据标识符"}},
	{Format, "format", false, []string{"data format", "数据格式", "格式"}},
}

// byWord finds a column by a heading in its plain form.
var byWord = func() map[string]Column {
	out := map[string]Column{}
	for _, c := range columns {
		for _, word := range append(slices.Clone(c.words), c.heading) {
			out[plainWord(word)] = c.column
		}
	}
	return out
}()

// plainWord drops what headings differ in: case, blanks, marks, and units or remarks in brackets.
func plainWord(s string) string {
	if i := strings.IndexAny(s, "(（[【"); i > 0 {
		s = s[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// Mapping says where each column stands, counted from 0.
type Mapping map[Column]int

// Match finds the columns by their headings. Of two headings for one column the first counts.
func Match(header []string) Mapping { return match(header, ownKeys(header)) }

func (m Mapping) has(index int) bool {
	for _, at := range m {
		if at == index {
			return true
		}
	}
	return false
}

// driverKeys are keys of points that a table may have as columns under their own names; true are those
// that are numbers.
var driverKeys = map[string]bool{
	"report": false, "deadband_percent": true, "max_silence": false, "min_interval": false, "on_error": false,
	"precision": true, "decimals": true,
	"record": false, "code": false, "value": true, "as": false, "factor": false, "period": false, "item": false,
	"request": false, "at": true, "bit": true, "find": false, "capture": true, "formula": false, "write": false,
}

// placing are the keys that say where a value is where points have no address.
var placing = []string{"id", "record", "code", "factor", "item", "at", "find", "capture", "formula"}

func placed(r *Row) bool {
	return slices.ContainsFunc(placing, func(key string) bool { return r.Other[key] != "" })
}

// ownKeys says whether a table places its values by keys of a driver. Then "factor" is the one of HJ 212
// and no scale, and "item" no name.
func ownKeys(header []string) bool {
	if !slices.ContainsFunc(header, func(heading string) bool { return slices.Contains(placing, heading) }) {
		return false
	}
	return !slices.ContainsFunc(header, func(heading string) bool {
		column := byWord[plainWord(heading)]
		return column == Address || column == ID
	})
}

func match(header []string, own bool) Mapping {
	m := Mapping{}
	for i, heading := range header {
		if _, key := driverKeys[heading]; key && own {
			continue
		}
		column, known := byWord[plainWord(heading)]
		if _, taken := m[column]; known && !taken {
			m[column] = i
		}
	}
	return m
}

// Columns lists the columns that a mapping may have, in the order of an export, for a page that lets
// people match them.
func Columns() []Column {
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = c.column
	}
	return out
}

// cells gives the rows of an export with the headings above them: only columns that some row fills.
func cells(rows []Row) [][]string {
	var used []Column
	for _, c := range columns {
		if c.column == Name || slices.ContainsFunc(rows, func(r Row) bool { return r.cell(c.column) != "" }) {
			used = append(used, c.column)
		}
	}
	other := map[string]bool{}
	for _, r := range rows {
		for key, value := range r.Other {
			other[key] = other[key] || value != "" && !slices.Contains(used, Column(key))
		}
	}
	header := make([]string, 0, len(used)+len(other))
	for _, c := range used {
		header = append(header, string(c))
	}
	for _, key := range slices.Sorted(maps.Keys(other)) {
		if other[key] {
			header = append(header, key)
		}
	}
	out := [][]string{header}
	for _, r := range rows {
		line := make([]string, len(header))
		for i, heading := range header {
			line[i] = r.cell(Column(heading))
		}
		out = append(out, line)
	}
	return out
}

func (r *Row) cell(c Column) string {
	switch c {
	case Name:
		return r.Name
	case Address:
		return r.Address
	case Type:
		return r.Type
	case Order:
		return r.Order
	case Length:
		return written(float64(r.Length))
	case Scale:
		return written(r.Scale)
	case Offset:
		return written(r.Offset)
	case Unit:
		return r.Unit
	case Access:
		return r.Access
	case Group:
		return r.Group
	case Deadband:
		return written(r.Deadband)
	case Description:
		return r.Description
	case Station:
		return r.Station
	}
	return r.Other[string(c)]
}
