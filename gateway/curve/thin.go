package curve

import "math"

// Thinned is one point's course, thinned to a number of columns of a chart: of what falls into a column
// the first, the last, the smallest and the largest value stay, and where it was interrupted. Drawn as
// a line that is the same picture as all of it would be (M4). It is not for several goroutines.
type Thinned struct {
	from, to int64 // Unix milliseconds, to exclusive
	columns  []column

	// Of all that was added, not only of what stays.
	Count, Errors, Texts int
	Min, Max, Sum        float64
}

// column is what stays of the values in it.
type column struct {
	values, holes             bool
	first, last, lowest, peak dot
	hole, lastHole            int64
}

type dot struct {
	at    int64
	value float64
}

// NewThinned takes values from one time up to another, for so many columns.
func NewThinned(from, to int64, columns int) *Thinned {
	return &Thinned{from: from, to: to, columns: make([]column, max(columns, 1))}
}

// column gives the one that a time falls into, nil when it is none.
func (t *Thinned) column(at int64) *column {
	if at < t.from || at >= t.to {
		return nil
	}
	// In floating point: the product of two such numbers may be too large. A rounding puts a value at
	// a border into either column, and never beyond the last.
	i := int(float64(at-t.from) / float64(t.to-t.from) * float64(len(t.columns)))
	return &t.columns[min(i, len(t.columns)-1)]
}

// Add takes a value; what is no finite number is a hole.
func (t *Thinned) Add(at int64, value float64) {
	c := t.column(at)
	if c == nil {
		return
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		c.interrupt(at)
		return
	}
	if t.Count == 0 || value < t.Min {
		t.Min = value
	}
	if t.Count == 0 || value > t.Max {
		t.Max = value
	}
	t.Count++
	t.Sum += value
	c.take(dot{at, value})
}

// Hold draws a value that was told before as far as this time, without counting it again.
func (t *Thinned) Hold(at int64, value float64) {
	if c := t.column(at); c != nil {
		c.take(dot{at, value})
	}
}

func (c *column) take(d dot) {
	if !c.values {
		c.values, c.first, c.last, c.lowest, c.peak = true, d, d, d, d
		return
	}
	if d.at < c.first.at {
		c.first = d
	}
	if d.at >= c.last.at {
		c.last = d
	}
	if d.value < c.lowest.value {
		c.lowest = d
	}
	if d.value > c.peak.value {
		c.peak = d
	}
}

// Fail takes a value that could not be had: nothing is drawn over it.
func (t *Thinned) Fail(at int64) {
	if c := t.column(at); c != nil {
		t.Errors++
		c.interrupt(at)
	}
}

// Word takes a value that cannot be drawn.
func (t *Thinned) Word(at int64) {
	if c := t.column(at); c != nil {
		t.Texts++
		c.interrupt(at)
	}
}

// Break interrupts the course where nothing is known.
func (t *Thinned) Break(at int64) {
	if c := t.column(at); c != nil {
		c.interrupt(at)
	}
}

func (c *column) interrupt(at int64) {
	if !c.holes {
		c.holes, c.hole, c.lastHole = true, at, at
		return
	}
	c.hole, c.lastHole = min(c.hole, at), max(c.lastHole, at)
}

// Mean is that of all values, 0 without any.
func (t *Thinned) Mean() float64 {
	if t.Count == 0 {
		return 0
	}
	return t.Sum / float64(t.Count)
}

// Course gives what stays in the order of time, which never repeats: times and values, NaN where nothing
// may be drawn.
func (t *Thinned) Course() (times []int64, values []float64) {
	put := func(d dot) {
		n := len(times)
		switch {
		case n > 0 && d.at <= times[n-1]:
			if math.IsNaN(d.value) && !math.IsNaN(values[n-1]) && times[n-1] == d.at {
				d.at++ // a value and an error of one moment: the line ends there
				break
			}
			return
		case n > 0 && math.IsNaN(d.value) && math.IsNaN(values[n-1]):
			return // it is interrupted already
		}
		times, values = append(times, d.at), append(values, d.value)
	}
	for i := range t.columns {
		c := &t.columns[i]
		var dots [6]dot
		n := 0
		if c.values {
			dots = [6]dot{c.first, c.lowest, c.peak, c.last}
			n = 4
		}
		if c.holes {
			dots[n], dots[n+1] = dot{c.hole, math.NaN()}, dot{c.lastHole, math.NaN()}
			n += 2
		}
		for i := 1; i < n; i++ { // insertion keeps those of one moment in their order
			for j := i; j > 0 && dots[j].at < dots[j-1].at; j-- {
				dots[j], dots[j-1] = dots[j-1], dots[j]
			}
		}
		for _, d := range dots[:n] {
			put(d)
		}
	}
	return times, values
}
