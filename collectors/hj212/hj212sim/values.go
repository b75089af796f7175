package hj212sim

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// State is what the simulated monitor measures at one moment.
type State struct {
	COD, Ammonia, PH, Flow float64
}

// StateAt follows from t alone, so that a test can tell what to expect.
func StateAt(t time.Time) State {
	angle := 2 * math.Pi * float64(t.Unix()%600) / 600
	round := func(f float64) float64 { return math.Round(f*100) / 100 }
	return State{
		COD: round(45 + 12*math.Sin(angle)), Ammonia: round(3 + math.Cos(angle)),
		PH: round(7.2 + 0.3*math.Sin(2*angle)), Flow: round(50 + 15*math.Sin(angle/2)),
	}
}

// factor is one code with what is measured.
type factor struct {
	code  string
	value float64
}

func (s State) factors(edition int) []factor {
	if edition == 2005 {
		return []factor{{"011", s.COD}, {"060", s.Ammonia}, {"001", s.PH}, {"B01", s.Flow}}
	}
	return []factor{{"w01018", s.COD}, {"w21003", s.Ammonia}, {"w01001", s.PH}, {"w00000", s.Flow}}
}

// realtime gives the data of a 2011 report, one statement group for each factor.
func (s State) realtime(edition int, flag string) []string {
	var groups []string
	for _, f := range s.factors(edition) {
		groups = append(groups, fmt.Sprintf("%s-Rtd=%g,%s-Flag=%s", f.code, f.value, f.code, flag))
	}
	return groups
}

// mean gives the data of a report about a period that begins at t.
func mean(t time.Time, edition int) []string {
	var groups []string
	for _, f := range StateAt(t).factors(edition) {
		groups = append(groups, fmt.Sprintf("%[1]s-Min=%[2]g,%[1]s-Avg=%[3]g,%[1]s-Max=%[4]g,%[1]s-Flag=N", f.code, f.value-1, f.value, f.value+1))
	}
	return groups
}

func data(at string, groups []string) string {
	return "DataTime=" + at + ";" + strings.Join(groups, ";")
}
