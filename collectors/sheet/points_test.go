package sheet

import (
	"reflect"
	"strings"
	"testing"
)

// read takes a table apart and makes rows of it, all problems as lines.
func read(t *testing.T, text string, o Options) ([]Row, []string) {
	t.Helper()
	table, err := Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rows, problems := table.Points(o)
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return rows, lines
}

func none(t *testing.T, problems []string) {
	t.Helper()
	if len(problems) > 0 {
		t.Errorf("problems: %s", strings.Join(problems, "\n"))
	}
}

func TestColumnsAreFoundByTheWordsThatPeopleUse(t *testing.T) {
	for _, header := range []string{
		"name,address,type,order,scale,unit,access,description",
		"Tag Name;Modbus Address;Data Type;Byte Order;Factor;Eng. Units;R/W;Remarks",
		"点位名称,寄存器地址,数据类型,字节序,倍率,单位,读写属性,备注",
		"变量名称\t地址(十进制)\t类型\t字节顺序\t系数\t工程单位\t读写\t说明",
	} {
		separator := map[bool]string{true: ";", false: ","}[strings.Contains(header, ";")]
		if strings.Contains(header, "\t") {
			separator = "\t"
		}
		line := strings.Join([]string{"power", "holding:7", "float", "3412", "0.1", "kW", "R/W", "at the door"}, separator)
		rows, problems := read(t, header+"\n"+line+"\n", Options{})
		none(t, problems)
		want := []Row{{Line: 2, Name: "power", Address: "holding:7", Type: "float32", Order: "CDAB", Scale: 0.1, Unit: "kW", Access: "rw", Description: "at the door"}}
		if !reflect.DeepEqual(rows, want) {
			t.Errorf("%s\ngives %+v\nwant  %+v", header, rows, want)
		}
	}
}

func TestAUserMatchesColumnsThatNobodyKnows(t *testing.T) {
	rows, problems := read(t, "A,B,name\nx,holding:1,p\n", Options{Columns: Mapping{Name: 0, Address: 1}})
	none(t, problems)
	if len(rows) != 1 || rows[0].Name != "x" || rows[0].Address != "holding:1" {
		t.Errorf("got %+v", rows)
	}
}

func TestAddressesInTheirManyForms(t *testing.T) {
	for _, c := range []struct {
		area, address, bit string
		base               int
		want               string
	}{
		{"", "holding:7", "", 0, "holding:7"},
		{"", "HOLDING:7.2", "", 0, "holding:7.2"},
		{"", "40001", "", 0, "40001"},
		{"", "400001.4", "", 0, "400001.4"},
		{"", "4x0101", "", 0, "holding:100"},
		{"", "3X1", "", 0, "input:0"},
		{"3", "100", "", 0, "holding:100"},
		{"03H", "100", "", 1, "holding:99"},
		{"FC 04", "0x10", "", 0, "input:16"},
		{"0x03", "1000H", "", 0, "holding:4096"},
		{"保持寄存器", "12.0", "", 0, "holding:12"},
		{"保持寄存器", "40001", "", 0, "40001"},
		{"输入寄存器", "40001", "", 0, "input:40001"},
		{"Coil", "5", "", 1, "coil:4"},
		{"16", "9", "", 0, "holding:9"},
		{"4x", "9", "3", 0, "holding:9.3"},
		{"", "400010", "15", 0, "400010.15"},
		{"", "D100", "", 0, "D100"}, // for a driver that knows it
	} {
		rows, problems := read(t, "name,area,address,bit\np,"+c.area+","+c.address+","+c.bit+"\n", Options{Base: c.base})
		if len(problems) > 0 || len(rows) != 1 || rows[0].Address != c.want {
			t.Errorf("%q %q %q from %d gives %+v, %v; want %q", c.area, c.address, c.bit, c.base, rows, problems, c.want)
		}
	}
}

func TestEveryMistakeNamesItsLineAndColumn(t *testing.T) {
	const header = "name,function code,address,type,order,scale,access,length,bit\n"
	for _, c := range []struct{ line, want string }{
		{",3,1,,,,,,", "line 2: name: is missing"},
		{"a,3,,,,,,,", "line 2: address: is missing"},
		{"a,,100,,,,,,", `line 2: address: "100" says no area`},
		{"a,7,100,,,,,,", `line 2: function code: "7" is neither an area nor a function code that reads`},
		{"a,3,70000,,,,,,", `line 2: address: "70000" is not a number from 0 to 65535`},
		{"a,3,1,,EFGH,,,,", `line 2: order: "EFGH" is not a byte order`},
		{"a,3,1,,,ten,,,", `line 2: scale: "ten" is not a number`},
		{"a,3,1,,,NaN,,,", `line 2: scale: "NaN" is not a number`},
		{"a,3,1,,,,sometimes,,", `line 2: access: "sometimes" is not r or rw`},
		{"a,3,1,,,,,1.5,", `line 2: length: "1.5" is not a number of bytes`},
		{"a,3,1,,,,,,16", `line 2: bit: "16" is not a bit from 0 to 15`},
		{"a,3,#REF!,,,,,,", `line 2: address: #REF! is a mistake in the spreadsheet`},
		{"a,,4x0,,,,,,", `line 2: address: "4x0" does not count from 1 to 65536`},
	} {
		rows, problems := read(t, header+c.line+"\n", Options{})
		if len(rows) != 0 || len(problems) == 0 || !strings.HasPrefix(problems[0], c.want) {
			t.Errorf("%s gives %+v, %v; want %s", c.line, rows, problems, c.want)
		}
	}
}

func TestARowWithAMistakeDoesNotTakeOthersWithIt(t *testing.T) {
	rows, problems := read(t, "name,address\na,holding:1\nb,\na,holding:2\n\nc,holding:3\n", Options{})
	if len(rows) != 2 || rows[0].Name != "a" || rows[1].Name != "c" || rows[1].Line != 6 {
		t.Errorf("got %+v", rows)
	}
	want := []string{"line 3: address: is missing", `line 4: name: "a" is the name in line 2 already`}
	if !reflect.DeepEqual(problems, want) {
		t.Errorf("problems %q, want %q", problems, want)
	}
}

func TestATableWithoutTheNecessaryHeadingsIsRefusedAsAWhole(t *testing.T) {
	for text, want := range map[string]string{
		"1,2,3\n4,5,6\n":       "no column is headed name; the headings are 1, 2, 3",
		"name,colour\na,red\n": "no column is headed address; the headings are name, colour",
	} {
		rows, problems := read(t, text, Options{})
		if len(rows) != 0 || len(problems) == 0 || problems[0] != want {
			t.Errorf("%q gives %+v, %q", text, rows, problems)
		}
	}
}

// A remark full of semicolons does not make a file one of semicolons.
func TestTheDelimiterIsThatOfTheHeadings(t *testing.T) {
	rows, problems := read(t, "name,address,remark\na,holding:1,x;y;z;;;;;;\nb,holding:2,;;;;;;;;\n", Options{})
	none(t, problems)
	if len(rows) != 2 || rows[0].Description != "x;y;z;;;;;;" {
		t.Errorf("got %+v", rows)
	}
	rows, problems = read(t, "name\taddress\tscale\tunit\na\tholding:1\t\tV\n", Options{})
	none(t, problems)
	if len(rows) != 1 || rows[0].Unit != "V" {
		t.Errorf("got %+v", rows)
	}
}

func TestRemarksAboveTheHeadingsAreSkipped(t *testing.T) {
	rows, problems := read(t, "Register map of the press\nVersion,3\n\nname,address\na,holding:1\n", Options{})
	none(t, problems)
	if len(rows) != 1 || rows[0].Line != 5 {
		t.Errorf("got %+v", rows)
	}
}

func TestADefaultOrderIsForWideTypesOnly(t *testing.T) {
	rows, problems := read(t, "name,address,type\na,holding:1,float\nb,holding:3,word\n", Options{Order: "CDAB"})
	none(t, problems)
	if rows[0].Order != "CDAB" || rows[1].Order != "" {
		t.Errorf("got %+v", rows)
	}
}

func TestIdentifiersOfMetersAreColumnsToo(t *testing.T) {
	rows, problems := read(t, "名称,数据标识,单位\nenergy,00010000,kWh\n", Options{})
	none(t, problems)
	if len(rows) != 1 || rows[0].Other["id"] != "00010000" || rows[0].Address != "" {
		t.Errorf("got %+v", rows)
	}
}

func TestNeuronsListIsRead(t *testing.T) {
	rows, problems := read(t, `group,name,address,attribute,type,description,decimal,precision
fast,run,1!000001,Read Write,BIT,the pump,,
fast,alarm,1!400010.4,Read,BIT,,,
fast,speed,1!400001,Subscribe,INT16,,0.1,
slow,swapped,1!300004#B,read,UINT16,,,
slow,plain,1!300004#L,read,UINT16,,,
slow,power,2!400011#BL,Read,FLOAT,,,2
slow,energy,2!400013#BB,Read,INT64,,0.01,
slow,label,2!400020.10L,Read,STRING,,,
slow,serial,2!400030.8,3,STRING,,,
`, Options{})
	none(t, problems)
	want := []Row{
		{Line: 2, Group: "fast", Name: "run", Address: "000001", Type: "bool", Access: "rw", Station: "1", Description: "the pump"},
		{Line: 3, Group: "fast", Name: "alarm", Address: "400010.4", Type: "bool", Access: "r", Station: "1"},
		{Line: 4, Group: "fast", Name: "speed", Address: "400001", Type: "int16", Access: "r", Station: "1", Scale: 0.1},
		{Line: 5, Group: "slow", Name: "swapped", Address: "300004", Type: "uint16", Order: "BADC", Access: "r", Station: "1"},
		{Line: 6, Group: "slow", Name: "plain", Address: "300004", Type: "uint16", Access: "r", Station: "1"},
		{Line: 7, Group: "slow", Name: "power", Address: "400011", Type: "float32", Order: "CDAB", Access: "r", Station: "2"},
		{Line: 8, Group: "slow", Name: "energy", Address: "400013", Type: "int64", Order: "DCBA", Access: "r", Station: "2", Scale: 0.01},
		{Line: 9, Group: "slow", Name: "label", Address: "400020", Type: "string", Length: 10, Order: "BADC", Access: "r", Station: "2"},
		{Line: 10, Group: "slow", Name: "serial", Address: "400030", Type: "string", Length: 8, Access: "rw", Station: "2"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(rows[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", rows[i], want[i])
		}
	}
	if got := Stations(rows); !reflect.DeepEqual(got, []string{"1", "2"}) {
		t.Errorf("stations %q", got)
	}
}

func TestNeuronsMistakesAreNamed(t *testing.T) {
	const header = "name,address,attribute,type\nok,1!400001,Read,INT16\n"
	for _, c := range []struct{ line, want string }{
		{"a,400001,Read,INT16", `line 3: address: "400001" is not an address of Neuron's`},
		{"a,1!500001,Read,INT16", "line 3: address: 5 is not the digit of an area"},
		{"a,1!400001,Read,BYTES", `line 3: type: "BYTES" is not a type`},
		{"a,1!400001,Static,INT16", "line 3: attribute: a static tag is no point"},
		{"a,1!400001,Often,INT16", `line 3: attribute: "Often" is not an attribute`},
		{"a,1!400001.4,Read,INT16", "line 3: address: only a BIT lies in a bit"},
		{"a,1!400001#WS,Read,INT64", "line 3: address: the byte order #WS is not known"},
		{"a,1!400001.10D,Read,STRING", "line 3: address: a text with one byte in each register"},
		{"a,1!400001,Read,STRING", "line 3: address: a STRING needs its length"},
		{"a,1!400001.10H,Read,INT16", "line 3: address: only a STRING has a length"},
	} {
		rows, problems := read(t, header+c.line+"\n", Options{Layout: Neuron})
		if len(rows) != 1 || len(problems) == 0 || !strings.HasPrefix(problems[0], c.want) {
			t.Errorf("%s gives %+v, %v; want %s", c.line, rows, problems, c.want)
		}
	}
}

const kepwareHeader = "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,Scaled Data Type,Clamp Low,Clamp High,Eng Units,Description,Negate Value\n"

func TestKepwaresListIsRead(t *testing.T) {
	rows, problems := read(t, kepwareHeader+
		`"Boiler.Pump.Speed",400001,Word,1,R/W,100,Linear,0,4095,0,100,Double,0,0,"%","the pump",0
"Run",000001,Boolean,1,R/W,100,,,,,,,,,,"",
"Trip",400010.04,Boolean,1,RO,100,,,,,,,,,,"",
"Flow",400101,Float,1,RO,100,,,,,,,,,"m3/h","",
"Label",400201.20H,String,1,RO,100,,,,,,,,,,"",
"Old",40005,Short,1,RO,100,,,,,,,,,,"",
`, Options{Order: "ABCD"})
	none(t, problems)
	want := []Row{
		{Line: 2, Group: "Boiler.Pump", Name: "Boiler_Pump_Speed", Address: "holding:0", Type: "uint16", Access: "rw", Scale: 100.0 / 4095, Unit: "%", Description: "the pump"},
		{Line: 3, Name: "Run", Address: "coil:0", Type: "bool", Access: "rw"},
		{Line: 4, Name: "Trip", Address: "holding:9.4", Type: "bool", Access: "r"},
		{Line: 5, Name: "Flow", Address: "holding:100", Type: "float32", Order: "ABCD", Access: "r", Unit: "m3/h"},
		{Line: 6, Name: "Label", Address: "holding:200", Type: "string", Length: 20, Access: "r"},
		{Line: 7, Name: "Old", Address: "holding:4", Type: "int16", Access: "r"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d: %+v", len(rows), len(want), rows)
	}
	for i := range want {
		if !reflect.DeepEqual(rows[i], want[i]) {
			t.Errorf("got  %+v\nwant %+v", rows[i], want[i])
		}
	}
}

// The word order is no column of Kepware's list, and a wrong one would be a wrong value.
func TestKepwaresWordOrderIsAskedFor(t *testing.T) {
	rows, problems := read(t, kepwareHeader+"Flow,400101,Float,1,RO,100,,,,,,,,,,,\n", Options{})
	if len(rows) != 1 || rows[0].Order != "CDAB" {
		t.Errorf("got %+v", rows)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "First Word Low") {
		t.Errorf("problems %q", problems)
	}
}

func TestKepwaresMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"a,400001[10],Word,1,RO,100,,,,,,,,,,,", "line 2: Address: arrays are not read here"},
		{"a,K100,Word,1,RO,100,,,,,,,,,,,", `line 2: Address: "K100" is not an address of Kepware's`},
		{"a,400000,Word,1,RO,100,,,,,,,,,,,", `line 2: Address: "00000" does not count from 1`},
		{"a,400001,Date,1,RO,100,,,,,,,,,,,", `line 2: Data Type: "Date" is not a type`},
		{"a,400001,Word,1,RO,100,Square Root,0,1,0,1,,,,,,", `line 2: Scaling: scaling "Square Root" cannot be written`},
		{"a,400001,Word,1,RO,100,Linear,1,1,0,1,,,,,,", "line 2: Scaling: Raw Low and Raw High are the same"},
		{"a,400001,Word,1,RO,100,Linear,x,1,0,1,,,,,,", `line 2: Scaling: rawlow "x" is not a number`},
		{"a,400001.77,Boolean,1,RO,100,,,,,,,,,,,", "line 2: Address: the bits of a register are 0 to 15"},
	} {
		rows, problems := read(t, kepwareHeader+c.line+"\n", Options{Order: "ABCD"})
		if len(rows) != 0 || len(problems) == 0 || !strings.HasPrefix(problems[0], c.want) {
			t.Errorf("%s gives %+v, %v; want %s", c.line, rows, problems, c.want)
		}
	}
}
