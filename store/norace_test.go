//go:build !race

package store_test

// underRace says that memory and times are those of the race detector.
const underRace = false
