package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sluice/web"
)

// BenchmarkPreview is what a paste into the editor of points asks: 5,000 points instead of two, a few of them wrong.
func BenchmarkPreview(b *testing.B) {
	g := fromFile(b, b.TempDir(), strings.Replace(plant, "points: [{name: a", `points: [{name: first, address: "holding:2"}, {name: a`, 1))
	start(b, g.Run)
	points := make([]map[string]any, 5000)
	for i := range points {
		points[i] = map[string]any{"name": fmt.Sprint("point_", i), "address": fmt.Sprint("holding:", i), "type": "uint16", "scale": 0.1, "unit": "°C"}
		if i%500 == 499 {
			points[i]["address"] = "nowhere"
		}
	}
	value, err := json.Marshal(points)
	if err != nil {
		b.Fatal(err)
	}
	change := web.ConfigChange{Edits: []web.ConfigEdit{{Path: []string{"devices", "press", "points"}, Value: value}}}
	b.ReportAllocs()
	for b.Loop() {
		shown, err := g.configurator.Preview(change, false)
		if err != nil || len(shown.Problems) != 10 {
			b.Fatal(shown.Problems, err)
		}
	}
}
