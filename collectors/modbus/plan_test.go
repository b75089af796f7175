package modbus

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func readyPoints(written ...string) []point {
	var points []point
	for _, w := range written {
		at, kind, _ := strings.Cut(w, " ")
		points = append(points, newPoint(&Point{Name: w, Address: address(at), Type: Type(kind)}))
	}
	return points
}

func describe(plan []request) string {
	var b strings.Builder
	for _, r := range plan {
		fmt.Fprintf(&b, "%s:%d+%d%v ", r.area, r.start, r.count, r.points)
	}
	return strings.TrimSpace(b.String())
}

func TestPlanMergesNeighbours(t *testing.T) {
	for _, test := range []struct {
		name   string
		points []string
		gap    int
		want   string
	}{
		{"one", []string{"holding:5 uint32"}, 16, "holding:5+2[0]"},
		{"adjacent, in any order", []string{"holding:7 int16", "holding:5 uint32"}, 16, "holding:5+3[1 0]"},
		{"gap within the limit", []string{"holding:0 int16", "holding:17 int16"}, 16, "holding:0+18[0 1]"},
		{"gap beyond the limit", []string{"holding:0 int16", "holding:18 int16"}, 16, "holding:0+1[0] holding:18+1[1]"},
		{"no gaps wanted", []string{"holding:0 int16", "holding:1 int16", "holding:3 int16"}, 0, "holding:0+2[0 1] holding:3+1[2]"},
		{"areas apart", []string{"holding:0 int16", "input:0 int16", "coil:0", "discrete:0"}, 16, "coil:0+1[2] discrete:0+1[3] input:0+1[1] holding:0+1[0]"},
		{"bits of one register", []string{"holding:7.2 bool", "holding:7.3 bool"}, 16, "holding:7+1[0 1]"},
		{"overlap", []string{"holding:0 uint64", "holding:1 int16"}, 16, "holding:0+4[0 1]"},
		{"at most 125 registers", []string{"holding:0 uint16", "holding:16 int64", "holding:32 int64", "holding:48 int64", "holding:64 int64", "holding:80 int64", "holding:96 int64", "holding:112 int64", "holding:123 uint32", "holding:124 int16"}, 16,
			"holding:0+125[0 1 2 3 4 5 6 7 8 9]"},
		{"one more", []string{"holding:0 uint16", "holding:16 int64", "holding:32 int64", "holding:48 int64", "holding:64 int64", "holding:80 int64", "holding:96 int64", "holding:112 int64", "holding:124 uint32"}, 16,
			"holding:0+116[0 1 2 3 4 5 6 7] holding:124+2[8]"},
		{"coils", []string{"coil:0", "coil:128", "coil:400"}, 16, "coil:0+129[0 1] coil:400+1[2]"},
	} {
		if got := describe(makePlan(readyPoints(test.points...), test.gap)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// However points lie, each is covered by exactly one request within the limits of the protocol.
func TestPlanCoversEveryPointOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var points []point
		for i := range 1 + random.IntN(200) {
			p := Point{Name: fmt.Sprint(i), Address: Address{Area: Area(1 + random.IntN(4)), Number: uint16(random.IntN(1000))}}
			if !p.Address.Area.bits() {
				p.Type = []Type{"int16", "uint32", "float64"}[random.IntN(3)]
			}
			points = append(points, newPoint(&p))
		}
		covered := make([]int, len(points))
		for _, r := range makePlan(points, random.IntN(50)) {
			limit := maxRegisters
			if r.area.bits() {
				limit = maxBits
			}
			if r.count < 1 || r.count > limit {
				t.Fatalf("seed %d: request for %d of %s", seed, r.count, r.area)
			}
			for _, i := range r.points {
				covered[i]++
				if p := points[i]; p.area != r.area || p.start < r.start || p.end() > r.end() {
					t.Fatalf("seed %d: point %+v is not inside %+v", seed, p.span, r.span)
				}
			}
		}
		for i, n := range covered {
			if n != 1 {
				t.Fatalf("seed %d: point %d is read %d times", seed, i, n)
			}
		}
	}
}
