package web

import (
	"context"
	"io"
	"time"
)

// Points shows how devices are asked, lets their registers be looked at, and turns points into files and
// back. Its methods may be called from any goroutine. ErrUnknown is their answer to a name that is none, a
// *FieldError to what cannot be asked for.
type Points interface {
	Plan(device string) (Plan, error)
	// Registers reads a device once, in a turn among those of its polls. Any other error is what the
	// device or its line did.
	Registers(ctx context.Context, device, area string, address, count int) (Registers, error)
	// Interpret says what registers mean without asking anybody.
	Interpret(words []uint16) Registers
	// Import says what a file holds; it changes nothing.
	Import(data []byte, how PointFileOptions) (PointFile, error)
	// Export writes the points of a device and gives what the format cannot hold.
	Export(device, format string, to io.Writer) ([]PointProblem, error)
	// File gives a device's section of the configuration, in which secrets are hidden.
	File(device string) ([]byte, error)
	Profiles() ([]Profile, error)
	ProfileFile(name string) ([]byte, error)
}

// FieldError is a mistake in one field of a request.
type FieldError struct{ Field, Text string }

func (e *FieldError) Error() string { return e.Text }

// Plan is what a device is asked in each poll.
type Plan struct {
	Device   string        `json:"device"`
	Summary  string        `json:"summary"`
	Groups   []PlanGroup   `json:"groups"`
	Requests []PlanRequest `json:"requests"`
	Learned  []string      `json:"learned"` // what the device was found to refuse
	// Lessons are the same in both languages.
	Lessons []PlanLesson `json:"lessons,omitempty"`
}

// PlanGroup is what is asked at one interval: a scan group, or the device's own points.
type PlanGroup struct {
	Group    string  `json:"group"` // "" for the device's own
	Interval float64 `json:"interval_ms"`
	Requests int     `json:"requests"`
	Points   int     `json:"points"`
}

// PlanRequest is one request of a poll.
type PlanRequest struct {
	Group    string   `json:"group"`
	Area     string   `json:"area"` // coil, discrete, input, holding
	Function byte     `json:"function"`
	Address  int      `json:"address"` // of the first, from 0
	Count    int      `json:"count"`
	Points   []string `json:"points"`
	Unwanted int      `json:"unwanted"`          // of Count: what no point needs
	Reason   *BusText `json:"reason,omitempty"`  // why it is not one with the next
	Refused  *BusText `json:"refused,omitempty"` // the device's answer to it, which is not expected to change
}

// PlanLesson is something that the device was found to refuse.
type PlanLesson struct {
	Text  BusText   `json:"text"`
	Since time.Time `json:"since"`
}

// Registers is what a device holds, and all that it may mean.
type Registers struct {
	Device          string           `json:"device,omitempty"`
	Area            string           `json:"area,omitempty"`
	Address         int              `json:"address"`
	At              *time.Time       `json:"at,omitempty"` // when it was read; missing: nobody was asked
	Words           []string         `json:"words"`        // four hex digits; of a bit 0000 or 0001
	Interpretations []Interpretation `json:"interpretations"`
}

// Interpretation is what registers mean when they are read as one type in one byte order.
type Interpretation struct {
	At        int    `json:"at"` // the first of the words, from 0
	Type      string `json:"type"`
	Order     string `json:"order,omitempty"`
	Byte      string `json:"byte,omitempty"` // h or l: the high or the low byte
	Registers int    `json:"registers"`
	Value     any    `json:"value"` // null where JSON has none, such as NaN
	Text      string `json:"text"`  // with all digits
	Plausible bool   `json:"plausible"`
}

// PointFileOptions say what a file with points does not say itself.
type PointFileOptions struct {
	Device  string         // the points are for; "" for none
	Station *string        // of several; nil: none is chosen
	Layout  string         // plain, neuron, kepware; "": as it looks
	Base    int            // what plain numbers count from, 0 or 1
	Order   string         // of values of several registers that have none
	Columns map[string]int // by column: where it stands, from 0; -1: nowhere
}

// PointFile is what a file with points holds.
type PointFile struct {
	Format   string        `json:"format"`          // plain, neuron, kepware, or device for a device as one file
	File     string        `json:"file"`            // csv, xlsx, yaml
	Sheet    string        `json:"sheet,omitempty"` // of several in an XLSX file, the one that was taken
	Columns  []PointColumn `json:"columns"`
	Stations []string      `json:"stations"`
	Rows     int           `json:"rows"` // below the headings, good ones and others
	// Points have the keys of a point's section, row (its line in the file), description and station.
	Points   []map[string]any `json:"points"`
	Problems []PointProblem   `json:"problems"`
	YAML     string           `json:"yaml"` // empty while several stations wait for a choice
}

// PointColumn is a column of a file and what it was taken for.
type PointColumn struct {
	Header string `json:"header"`
	Column string `json:"column"` // "": nothing
}

// PointProblem is what is wrong with a row.
type PointProblem struct {
	Row     int    `json:"row,omitempty"`    // the line in the file; missing: the file as a whole
	Column  string `json:"column,omitempty"` // the heading; missing: the row as a whole
	Cell    string `json:"cell,omitempty"`
	Text    string `json:"text"`
	Warning bool   `json:"warning,omitempty"` // the row is taken all the same
}

// Profile is a model of a device.
type Profile struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`     // the driver
	Category string   `json:"category"` // power-meter, inverter, …
	Title    string   `json:"title"`
	Vendor   string   `json:"vendor"`
	Summary  BusText  `json:"summary"`
	Line     string   `json:"line,omitempty"` // serial settings as delivered
	Points   int      `json:"points"`
	Sources  []string `json:"sources"`
}
