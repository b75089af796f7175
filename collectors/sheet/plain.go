package sheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// types are words for types in their plain form. A word that is not among them is passed on in small
// letters: the driver knows better.
var types = map[string]string{
	"bool": "bool", "boolean": "bool", "bit": "bool", "digital": "bool", "布尔": "bool", "布尔型": "bool", "开关量": "bool", "位": "bool",
	"int16": "int16", "int": "int16", "short": "int16", "s16": "int16", "i16": "int16", "signed16": "int16", "signed": "int16", "sint16": "int16", "有符号16位": "int16", "16位有符号": "int16", "16位有符号整型": "int16", "有符号短整型": "int16", "短整型": "int16",
	"uint16": "uint16", "word": "uint16", "uint": "uint16", "ushort": "uint16", "u16": "uint16", "unsigned16": "uint16", "unsigned": "uint16", "无符号16位": "uint16", "16位无符号": "uint16", "16位无符号整型": "uint16", "无符号短整型": "uint16", "无符号整型": "uint16",
	"int32": "int32", "dint": "int32", "long": "int32", "s32": "int32", "i32": "int32", "signed32": "int32", "sint32": "int32", "有符号32位": "int32", "32位有符号": "int32", "32位有符号整型": "int32", "长整型": "int32",
	"uint32": "uint32", "dword": "uint32", "udint": "uint32", "ulong": "uint32", "u32": "uint32", "unsigned32": "uint32", "无符号32位": "uint32", "32位无符号": "uint32", "32位无符号整型": "uint32", "无符号长整型": "uint32",
	"int64": "int64", "lint": "int64", "s64": "int64", "i64": "int64", "longlong": "int64", "64位有符号": "int64",
	"uint64": "uint64", "lword": "uint64", "qword": "uint64", "ulint": "uint64", "u64": "uint64", "64位无符号": "uint64",
	"float32": "float32", "float": "float32", "real": "float32", "f32": "float32", "single": "float32", "floating": "float32", "float32ieee754": "float32", "浮点": "float32", "浮点型": "float32", "浮点数": "float32", "单精度": "float32", "单精度浮点": "float32", "32位浮点": "float32", "32位浮点型": "float32",
	"float64": "float64", "double": "float64", "lreal": "float64", "f64": "float64", "双精度": "float64", "双精度浮点": "float64", "64位浮点": "float64",
	"string": "string", "ascii": "string", "str": "string", "text": "string", "char": "string", "字符串": "string", "字符": "string",
}

var orders = map[string]string{
	"abcd": "ABCD", "ab": "ABCD", "1234": "ABCD", "12": "ABCD", "12345678": "ABCD", "abcdefgh": "ABCD", "big": "ABCD", "bigendian": "ABCD", "be": "ABCD", "大端": "ABCD", "大端序": "ABCD",
	"cdab": "CDAB", "3412": "CDAB", "78563412": "CDAB", "ghefcdab": "CDAB", "wordswap": "CDAB", "swapword": "CDAB", "swapwords": "CDAB", "littleendianbyteswap": "CDAB", "midlittle": "CDAB", "字交换": "CDAB",
	"badc": "BADC", "ba": "BADC", "2143": "BADC", "21": "BADC", "21436587": "BADC", "badcfehg": "BADC", "byteswap": "BADC", "swapbyte": "BADC", "swapbytes": "BADC", "bigendianbyteswap": "BADC", "midbig": "BADC", "字节交换": "BADC",
	"dcba": "DCBA", "4321": "DCBA", "87654321": "DCBA", "hgfedcba": "DCBA", "little": "DCBA", "littleendian": "DCBA", "le": "DCBA", "小端": "DCBA", "小端序": "DCBA",
	"cdabghef": "CDABGHEF", "efghabcd": "EFGHABCD", "dcbahgfe": "DCBAHGFE", "fehgbadc": "FEHGBADC",
}

var accesses = map[string]string{
	"r": "r", "ro": "r", "read": "r", "readonly": "r", "只读": "r", "读": "r", "可读": "r",
	"rw": "rw", "wr": "rw", "readwrite": "rw", "读写": "rw", "可读写": "rw", "可读可写": "rw", "读取写入": "rw",
	"w": "w", "wo": "w", "write": "w", "writeonly": "w", "只写": "w", "写": "w", "可写": "w",
}

// areas are words for the four tables; function codes are numbers without what surrounds them.
var areas = map[string]string{
	"coil": "coil", "coils": "coil", "coilstatus": "coil", "0x": "coil", "do": "coil", "digitaloutput": "coil", "1": "coil", "5": "coil", "15": "coil", "线圈": "coil", "线圈寄存器": "coil", "线圈状态": "coil",
	"discrete": "discrete", "discreteinput": "discrete", "discreteinputs": "discrete", "inputstatus": "discrete", "1x": "discrete", "di": "discrete", "digitalinput": "discrete", "2": "discrete", "离散输入": "discrete", "离散量输入": "discrete", "离散输入寄存器": "discrete", "离散量": "discrete",
	"input": "input", "inputregister": "input", "inputregisters": "input", "3x": "input", "ir": "input", "ai": "input", "4": "input", "输入寄存器": "input",
	"holding": "holding", "holdingregister": "holding", "holdingregisters": "holding", "4x": "holding", "hr": "holding", "ao": "holding", "3": "holding", "6": "holding", "16": "holding", "保持寄存器": "holding", "保持型寄存器": "holding",
}

// plain reads a table in words that people use.
func (r *reader) plain(out *Row) {
	if text := r.cell(Type); text != "" {
		out.Type = knownOr(types, text)
	}
	if text := r.cell(Order); text != "" {
		if out.Order = orders[plainWord(text)]; out.Order == "" {
			r.problem(Order, fmt.Sprintf("%q is not a byte order; write ABCD, CDAB, BADC or DCBA", text))
		}
	}
	r.access(out)
	if r.cell(Address) == "" {
		if !r.options.NoAddress && !placed(out) {
			r.problem(Address, "is missing")
		}
		return
	}
	r.plainAddress(out)
	r.defaultOrder(out)
}

func knownOr(words map[string]string, text string) string {
	if word, ok := words[plainWord(text)]; ok {
		return word
	}
	return strings.ToLower(text)
}

// defaultOrder is for types of more than one register.
func (r *reader) defaultOrder(out *Row) {
	if out.Order == "" && wide(out.Type) {
		out.Order = r.options.Order
	}
}

func wide(kind string) bool { return strings.HasSuffix(kind, "32") || strings.HasSuffix(kind, "64") }

func (r *reader) access(out *Row) {
	text := r.cell(Access)
	if text == "" {
		return
	}
	switch out.Access = accesses[plainWord(text)]; out.Access {
	case "":
		r.problem(Access, fmt.Sprintf("%q is not r or rw", text))
	case "w":
		r.warn(Access, "a point that can only be written is read all the same; without an answer it shows an error")
		out.Access = "rw"
	}
}

var (
	namedAddress   = regexp.MustCompile(`^(coil|discrete|input|holding):([0-9]+)(\.[0-9]+)?$`)
	modiconAddress = regexp.MustCompile(`^[0134][0-9]{4,5}(\.[0-9]+)?$`)
	prefixAddress  = regexp.MustCompile(`^([134])[xX][- ]?([0-9]+)(\.[0-9]+)?$`) // 0x may be hexadecimal
	plainNumber    = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|[0-9a-fA-F]+[hH]|[0-9]+(\.0+)?)$`)
	areaDigit      = map[string]string{"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
)

// plainAddress understands holding:100, 40101 and 400101, 4x101, and a plain number beside an area.
func (r *reader) plainAddress(out *Row) {
	text := strings.ToLower(r.cell(Address))
	area := ""
	if word := r.cell(Area); word != "" {
		if area = areas[areaWord(word)]; area == "" {
			r.problem(Area, fmt.Sprintf("%q is neither an area nor a function code that reads", word))
			return
		}
	}
	parts := prefixAddress.FindStringSubmatch(text)
	switch {
	case namedAddress.MatchString(text):
		out.Address = text
	case parts != nil:
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 || n > 65536 {
			r.problem(Address, fmt.Sprintf("%q does not count from 1 to 65536", r.cell(Address)))
			return
		}
		out.Address = fmt.Sprintf("%s:%d%s", areaDigit[parts[1]], n-1, parts[3])
	case modiconAddress.MatchString(text) && (area == "" || areaDigit[text[:1]] == area):
		out.Address = text
	case plainNumber.MatchString(text):
		r.numberedAddress(out, area, text)
	default:
		out.Address = r.cell(Address) // in a form that only the driver knows
	}
	r.bit(out)
}

// areaWord brings function codes down to their number: FC03, 0x03 and 03H are 3.
func areaWord(text string) string {
	word := plainWord(text)
	digits, base := strings.TrimPrefix(strings.TrimPrefix(word, "fc"), "f"), 10
	if rest, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = rest, 16
	} else if rest, ok := strings.CutSuffix(digits, "h"); ok {
		digits, base = rest, 16
	}
	if n, err := strconv.ParseUint(digits, base, 8); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return word
}

func (r *reader) numberedAddress(out *Row, area, text string) {
	if area == "" {
		r.problem(Address, fmt.Sprintf("%q says no area: write holding:%s, or 4 and five digits that count from 1, or add a column with the area or the function code", r.cell(Address), text))
		return
	}
	base := 10
	digits, _, _ := strings.Cut(text, ".")
	if rest, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = rest, 16
	} else if rest, ok := strings.CutSuffix(digits, "h"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n < uint64(r.options.Base) || n-uint64(r.options.Base) > 0xFFFF {
		r.problem(Address, fmt.Sprintf("%q is not a number from %d to %d", r.cell(Address), r.options.Base, 0xFFFF+r.options.Base))
		return
	}
	out.Address = fmt.Sprintf("%s:%d", area, n-uint64(r.options.Base))
}

func (r *reader) bit(out *Row) {
	text := r.cell(Bit)
	if text == "" || out.Address == "" {
		return
	}
	n, err := number(text)
	if err != nil || n != float64(int(n)) || n < 0 || n > 15 {
		r.problem(Bit, fmt.Sprintf("%q is not a bit from 0 to 15", text))
		return
	}
	if strings.Contains(out.Address, ".") {
		r.problem(Bit, "the address names a bit already")
		return
	}
	out.Address += fmt.Sprintf(".%d", int(n))
}
