package custom

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sluice/collectors"
	"sluice/collectors/formula"
)

// Options is what a device of this kind says in the configuration.
type Options struct {
	Address        Address          `yaml:"address" required:"true" doc:"where the device is: bus://NAME, with a name from buses:, or tcp://host:port"`
	Timeout        time.Duration    `yaml:"timeout" default:"1s" doc:"how long the device may take to begin its answer, or to say something when it is only listened to" min:"10ms" max:"1m"`
	Checksum       string           `yaml:"checksum" default:"none" doc:"what is appended to requests and checked in answers; crc16-modbus has its low byte first, the other two their high byte, unless checksum_order says otherwise" enum:"none,sum8,xor8,lrc,crc16-modbus,crc16-ccitt,crc16-xmodem"`
	AnswerChecksum string           `yaml:"answer_checksum" doc:"the checksum of answers, where it is another" enum:"none,sum8,xor8,lrc,crc16-modbus,crc16-ccitt,crc16-xmodem"`
	ChecksumFrom   int              `yaml:"checksum_from" doc:"the first byte that the checksum covers, counted from 0: 1 leaves out a start byte" min:"0" max:"16"`
	ChecksumText   bool             `yaml:"checksum_text" doc:"the checksum is written as hexadecimal digits, as ASCII protocols do"`
	ChecksumOrder  string           `yaml:"checksum_order" doc:"which byte of a checksum of 16 bits comes first" enum:"low-first,high-first"`
	Tail           Bytes            `yaml:"tail" doc:"what stands behind the checksum, in requests and in answers: \\r\\n, or hex:03"`
	Requests       []RequestOptions `yaml:"requests" required:"true" min:"1" unique:"name" doc:"what is sent, and what the answer to it looks like"`
	Points         []PointOptions   `yaml:"points" required:"true" unique:"name" doc:"what to read out of the answers"`
}

// RequestOptions is one question, or one thing that the device says by itself.
type RequestOptions struct {
	Name       string        `yaml:"name" required:"true" doc:"a name for points to refer to"`
	Send       Bytes         `yaml:"send" doc:"what to send, without checksum and tail: text with \\r \\n \\t \\x02, or hex:02 30; nothing: only listen, for devices that speak by themselves"`
	Start      Bytes         `yaml:"start" doc:"what the answer begins with; whatever comes before is passed over"`
	Length     int           `yaml:"length" doc:"how many bytes the answer has, all counted" min:"0" max:"4096"`
	LengthAt   *int          `yaml:"length_at" doc:"the byte of the answer, counted from 0, that says how long it is: the answer has so many bytes and length_add more" min:"0" max:"64"`
	LengthAdd  int           `yaml:"length_add" doc:"how many bytes the answer has beside those that the byte at length_at counts" min:"-16" max:"64"`
	Terminator Bytes         `yaml:"terminator" doc:"what the answer ends with; default: tail"`
	Trailer    int           `yaml:"trailer" doc:"how many bytes follow the terminator, such as a checksum behind ETX" min:"0" max:"16"`
	Gap        time.Duration `yaml:"gap" doc:"the answer ends when nothing comes for so long; for devices that leave no other choice" min:"0s" max:"5s"`
	Match      string        `yaml:"match" doc:"what the answer must be like: a regular expression, whose groups points can capture, or its first bytes as hex:02 ?? 41"`
}

// PointOptions is one value: bytes at a place, a text that an expression finds, or a formula.
type PointOptions struct {
	Name    string  `yaml:"name" required:"true" doc:"the name of the value in readings"`
	Request string  `yaml:"request" doc:"whose answer has it; default: the first"`
	At      *int    `yaml:"at" doc:"the value's first byte in the answer, counted from 0; from the end when negative: -3 is the third last" min:"-4096" max:"4095"`
	Type    string  `yaml:"type" doc:"what the bytes at that place mean, or the text that was found: number (default for texts), decimal-comma, hex, text" enum:"bool,uint8,int8,uint16,int16,uint24,int24,uint32,int32,uint64,int64,float32,float64,bcd,number,decimal-comma,text,hex"`
	Order   string  `yaml:"order" doc:"byte order, A is the most significant byte" enum:"ABCD,CDAB,BADC,DCBA"`
	Length  int     `yaml:"length" doc:"bytes of bcd, number, text and hex" min:"0" max:"256"`
	Bit     *int    `yaml:"bit" doc:"which bit of the byte a bool is; without it any" min:"0" max:"7"`
	Find    string  `yaml:"find" doc:"a regular expression that finds the value's text in the answer: all of it, or its first group: T=([-0-9.]+)"`
	Capture int     `yaml:"capture" doc:"the value is what this group of the request's match caught, counted from 1" min:"0" max:"64"`
	Formula string  `yaml:"formula" doc:"an expression over text, bytes, captures (of match, 0 is all) and the points above: (bytes[3]*256 + bytes[4]) / 10"`
	Scale   float64 `yaml:"scale" doc:"the value is multiplied by this"`
	Offset  float64 `yaml:"offset" doc:"and then this is added"`
	Unit    string  `yaml:"unit" doc:"unit of measure, for people"`
	Access  string  `yaml:"access" doc:"r, or rw for what commands may write" enum:"r,rw"`
	Write   string  `yaml:"write" doc:"what to send to write the point, without checksum and tail: SP {value:.1}, or hex:01 06 00 10 {int16}"`

	collectors.Policy `yaml:",inline"`
}

// Address is a line: bus://NAME or tcp://host:port.
type Address string

// UnmarshalText takes bus://NAME and tcp://host:port.
func (a *Address) UnmarshalText(text []byte) error {
	if name, ok := strings.CutPrefix(string(text), "bus://"); ok && name != "" && !strings.ContainsAny(name, "/?# ") {
		*a = Address(text)
		return nil
	}
	if at, ok := strings.CutPrefix(string(text), "tcp://"); ok {
		host, port, err := net.SplitHostPort(at)
		if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n > 0 && host != "" {
			*a = Address(text)
			return nil
		}
	}
	return fmt.Errorf("%q is neither bus://NAME, with a name from buses:, nor tcp://host:port", text)
}

// Endpoint is the line that the device is on.
func (o *Options) Endpoint() string { return string(o.Address) }

// reporter takes a mistake and its place.
type reporter func(path, problem string)

func (r reporter) below(at string) reporter {
	return func(path, problem string) { r(at+"."+path, problem) }
}

// Validate reports what cannot work, each with its place below the device.
func (o *Options) Validate(report func(path, problem string)) {
	if o.Address == "" {
		report("address", "is missing: bus://NAME, with a name from buses:, or tcp://host:port")
	}
	if o.Timeout <= 0 {
		report("timeout", fmt.Sprintf("%v is not a time to wait", o.Timeout))
	}
	o.validateChecksum(report)
	if len(o.Requests) == 0 {
		report("requests", "is empty: say what is sent, or what to listen for")
	}
	seen := map[string]bool{}
	for i := range o.Requests {
		r := &o.Requests[i]
		below := reporter(report).below(fmt.Sprintf("requests[%d]", i))
		name(r.Name, seen, below)
		r.validate(o, below)
	}
	if len(o.Points) == 0 {
		report("points", "is empty: there is nothing to read")
	}
	seen = map[string]bool{}
	for i := range o.Points {
		p := &o.Points[i]
		below := reporter(report).below(fmt.Sprintf("points[%d]", i))
		name(p.Name, seen, below)
		p.validate(o, i, below)
	}
}

func name(name string, seen map[string]bool, report reporter) {
	switch {
	case name == "":
		report("name", "is missing")
	case seen[name]:
		report("name", fmt.Sprintf("%q is a name twice", name))
	}
	seen[name] = true
}

func (o *Options) validateChecksum(report reporter) {
	known := func(key, kind string) {
		if _, ok := checksums[kind]; !ok && kind != "" && kind != "none" {
			report(key, fmt.Sprintf("%q is not a checksum; there are none, sum8, xor8, lrc, crc16-modbus, crc16-ccitt and crc16-xmodem", kind))
		}
	}
	known("checksum", o.Checksum)
	known("answer_checksum", o.AnswerChecksum)
	switch o.ChecksumOrder {
	case "", "low-first", "high-first":
	default:
		report("checksum_order", fmt.Sprintf("%q is not low-first or high-first", o.ChecksumOrder))
	}
	if o.ChecksumFrom < 0 || o.ChecksumFrom > 16 {
		report("checksum_from", fmt.Sprintf("%d is not from 0 to 16", o.ChecksumFrom))
	}
}

func (r *RequestOptions) validate(o *Options, report reporter) {
	if len(r.Send)+len(o.Tail)+4 > 512 {
		report("send", "is longer than the 512 bytes that go out at once")
	}
	ends := 0
	for _, is := range []bool{r.Length > 0, r.LengthAt != nil, len(r.Terminator) > 0, r.Gap > 0} {
		if is {
			ends++
		}
	}
	switch {
	case ends == 0 && len(o.Tail) == 0:
		report("length", errNoEnd.Error())
	case ends > 1:
		report("length", "an answer ends in one way: length, length_at, terminator or gap")
	}
	sealed := o.Checksum != "" && o.Checksum != "none" && o.AnswerChecksum == "" || o.AnswerChecksum != "" && o.AnswerChecksum != "none"
	if r.Send == "" && len(r.Start) == 0 && r.Match == "" && !sealed {
		report("match", "who listens may begin in the middle of an answer: say match, start or a checksum, lest a part be taken for the whole")
	}
	if r.Length < 0 || r.Length > maxAnswer {
		report("length", fmt.Sprintf("%d is not from 1 to %d", r.Length, maxAnswer))
	}
	if r.LengthAt != nil && (*r.LengthAt < 0 || *r.LengthAt > 64) {
		report("length_at", fmt.Sprintf("%d is not from 0 to 64", *r.LengthAt))
	}
	if r.Trailer != 0 && (len(r.Terminator) == 0 || r.Trailer < 0 || r.Trailer > 16) {
		report("trailer", "is for answers with a terminator, up to 16 bytes")
	}
	if r.Match != "" {
		if _, err := newMatcher(r.Match); err != nil {
			report("match", err.Error())
		}
	}
}

func (p *PointOptions) validate(o *Options, index int, report reporter) {
	r := o.request(p.Request)
	if p.Request != "" && r == nil {
		report("request", fmt.Sprintf("there is no request named %q", p.Request))
	}
	switch p.source(o) {
	case "at":
		p.validatePlace(report)
	case "find", "capture":
		p.validateText(r, report)
	case "formula":
		p.validateFormula(o, index, report)
	case "":
		report("at", "say where the value is: at and type, find, capture of the request's match, or formula")
	default:
		report("at", "a value comes from one of at, find, capture and formula")
	}
	p.Policy.ValidateFor(p.Type != "text" && p.Type != "bool" && (p.Type != "hex" || p.At == nil), report)
	p.validateWrite(o, report)
}

// source is the key that says where the value comes from; several joined by a plus sign.
func (p *PointOptions) source(o *Options) string {
	var sources []string
	for _, s := range []struct {
		is  bool
		key string
	}{{p.At != nil, "at"}, {p.Find != "", "find"}, {p.Capture != 0, "capture"}, {p.Formula != "", "formula"}} {
		if s.is {
			sources = append(sources, s.key)
		}
	}
	if len(sources) == 0 && p.groups(o.request(p.Request)) == 1 {
		return "capture" // a match with one group says it all
	}
	return strings.Join(sources, "+")
}

// groups is how many groups the request's match has.
func (p *PointOptions) groups(r *RequestOptions) int {
	if r == nil || r.Match == "" {
		return 0
	}
	m, err := newMatcher(r.Match)
	if err != nil || m.regexp == nil {
		return 0
	}
	return m.regexp.NumSubexp()
}

func (p *PointOptions) validatePlace(report reporter) {
	size, ok := sizes[p.Type]
	switch {
	case !ok:
		report("type", fmt.Sprintf("%q is not the type of bytes at a place, such as uint16, float32, bcd or number", p.Type))
	case size == 0 && (p.Length < 1 || p.Length > 256 || p.Type == "bcd" && p.Length > 8):
		report("length", fmt.Sprintf("say how many bytes the %s has, bcd up to 8", p.Type))
	case size > 0 && p.Length != 0:
		report("length", fmt.Sprintf("%s has its own length", p.Type))
	case *p.At < 0 && -*p.At < max(size, p.Length):
		report("at", fmt.Sprintf("%d leaves no room for a %s at the end of the answer", *p.At, p.Type))
	}
	if !validOrder(p.Order) {
		report("order", fmt.Sprintf("%q is not ABCD, CDAB, BADC or DCBA", p.Order))
	}
	if p.Bit != nil && (p.Type != "bool" || *p.Bit < 0 || *p.Bit > 7) {
		report("bit", "is for a bool, from 0 to 7")
	}
	p.validateScale(report)
}

func (p *PointOptions) validateText(r *RequestOptions, report reporter) {
	if p.Type != "" && !texts[p.Type] {
		report("type", fmt.Sprintf("a text that was found is number, decimal-comma, text or hex, not %s", p.Type))
	}
	if p.Find != "" {
		if _, err := regexp.Compile(p.Find); err != nil {
			report("find", fmt.Sprintf("%q is not a regular expression: %s", p.Find, plain(err)))
		}
	} else if n := p.groups(r); p.Capture > n {
		report("capture", fmt.Sprintf("the request's match has %d groups", n))
	}
	if p.Length != 0 || p.Order != "" || p.Bit != nil {
		report("type", "length, order and bit go with at")
	}
	p.validateScale(report)
}

func (p *PointOptions) validateScale(report reporter) {
	if (p.Scale != 0 || p.Offset != 0) && (p.Type == "bool" || p.Type == "text" || p.Type == "hex" && p.At != nil) {
		report("scale", fmt.Sprintf("scale and offset go with numbers, not with %s", p.Type))
	}
}

// names are what the formula of the index-th point may use.
func (o *Options) names(index int) []string {
	names := []string{"text", "bytes", "captures"}
	for i := range o.Points[:index] {
		names = append(names, o.Points[i].Name)
	}
	return names
}

func (p *PointOptions) validateFormula(o *Options, index int, report reporter) {
	if p.Type != "" || p.Length != 0 || p.Order != "" || p.Bit != nil || p.Scale != 0 || p.Offset != 0 {
		report("formula", "does all by itself: no type, length, order, bit, scale or offset goes with it")
	}
	if _, err := formula.Compile(p.Formula, o.names(index)); err != nil {
		report("formula", err.Error())
	}
	for i := range o.Points[:index] {
		switch earlier := o.Points[i].Name; earlier {
		case "text", "bytes", "captures":
			report("formula", fmt.Sprintf("there is a point %q, which a formula takes for the answer's", earlier))
		}
	}
}

func (p *PointOptions) validateWrite(o *Options, report reporter) {
	switch p.Access {
	case "", "r":
		if p.Write != "" {
			report("access", "is not rw, so that write is of no use")
		}
		return
	case "rw":
	default:
		report("access", fmt.Sprintf("%q is not r or rw", p.Access))
		return
	}
	if p.Write == "" {
		report("write", "is missing: what to send, such as SP {value:.1}")
		return
	}
	if _, err := parseTemplate(p.Write); err != nil {
		report("write", err.Error())
	}
	if r := o.request(p.Request); r != nil && r.Send == "" {
		report("access", "a point of a device that is only listened to cannot be read back, so it cannot be written")
	}
	if p.Formula != "" {
		report("access", "a formula cannot be written")
	}
}

// request gives the request of that name, the first without one.
func (o *Options) request(name string) *RequestOptions {
	for i := range o.Requests {
		if name == "" || o.Requests[i].Name == name {
			return &o.Requests[i]
		}
	}
	return nil
}

func (o *Options) check() error {
	var errs []error
	o.Validate(func(path, problem string) { errs = append(errs, fmt.Errorf("%s: %s", path, problem)) })
	return errors.Join(errs...)
}
